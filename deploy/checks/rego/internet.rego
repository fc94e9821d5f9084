# METADATA
# title: Only the gateway and the reconcile job reach the internet
# description: The key service holds every sealed key. Whoever takes it over must find no way out.
# custom:
#   id: KT-0003
#   severity: CRITICAL
#   input:
#     selector:
#       - type: json
package user.keyturn.internet

import rego.v1

import data.lib.keyturn.release

may_reach_openai := {"gateway-svc", "reconcile"}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	not workload.component in may_reach_openai
	some policy in release.policies_of(workload, "Egress")
	some rule in object.get(policy.spec, "egress", [])
	release.is_public(policy, rule)
	message := sprintf("NetworkPolicy %s lets %s out to the internet", [policy.metadata.name, workload.title])
}

# Without a policy of egress a pod reaches everything.
deny contains result.new(message, {}) if {
	some workload in release.workloads
	count(release.policies_of(workload, "Egress")) == 0
	message := sprintf("No NetworkPolicy bounds where %s connects to", [workload.title])
}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	workload.pod.hostNetwork
	message := sprintf("%s is on the node's network, where no NetworkPolicy holds", [workload.title])
}
