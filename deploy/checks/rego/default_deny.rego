# METADATA
# title: Every pod is denied everything first
# description: A pod that no policy selects is open. So one policy denies all, in both directions, to each pod of the release.
# custom:
#   id: KT-0008
#   severity: CRITICAL
#   input:
#     selector:
#       - type: json
package user.keyturn.default_deny

import rego.v1

import data.lib.keyturn.release

deny contains result.new(message, {}) if {
	some workload in release.workloads
	some direction in ["Ingress", "Egress"]
	not is_denied(workload, direction)
	message := sprintf("No NetworkPolicy denies all %s of %s first", [lower(direction), workload.title])
}

is_denied(workload, direction) if {
	some policy in release.policies_of(workload, direction)
	count(object.get(policy.spec, lower(direction), [])) == 0
}
