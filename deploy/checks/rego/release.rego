# METADATA
# title: What the rules read of a release
# description: >-
#   The input is one JSON object, objects, with all that the chart rendered. So a rule can ask
#   whether one object is covered by another.
# custom:
#   library: true
#   input:
#     selector:
#       - type: json
package lib.keyturn.release

import rego.v1

# Everything that makes pods, with its pod template.
workloads := [workload |
	some item in input.objects
	template := pod_template(item)
	workload := {
		"kind": item.kind,
		"name": item.metadata.name,
		"title": sprintf("%s %s", [item.kind, item.metadata.name]),
		"namespace": namespace(item),
		"labels": object.get(template, ["metadata", "labels"], {}),
		"component": object.get(template, ["metadata", "labels", "app.kubernetes.io/component"], ""),
		"pod": template.spec,
	}
]

# Each container with the workload that it is of.
containers := [entry |
	some workload in workloads
	some field in ["initContainers", "containers", "ephemeralContainers"]
	some container in object.get(workload.pod, field, [])
	entry := {
		"container": container,
		"workload": workload,
		"title": sprintf("Container %s of %s", [container.name, workload.title]),
	}
]

network_policies := of_kind("NetworkPolicy")

of_kind(kind) := [item | some item in input.objects; item.kind == kind]

# What is rendered without a namespace goes into that of the release.
namespace(item) := object.get(item.metadata, "namespace", "")

pod_template(item) := item.spec.template if item.kind in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"}

pod_template(item) := item.spec.jobTemplate.spec.template if item.kind == "CronJob"

pod_template(item) := item if item.kind == "Pod"

# Whether a selector of labels matches; one with expressions is read in full, too.
selects(selector, labels) if {
	every key, value in object.get(selector, "matchLabels", {}) {
		labels[key] == value
	}
	every expression in object.get(selector, "matchExpressions", []) {
		expression_matches(expression, labels)
	}
}

expression_matches(expression, labels) if {
	expression.operator == "In"
	labels[expression.key] in expression.values
}

expression_matches(expression, labels) if {
	expression.operator == "NotIn"
	not object.get(labels, expression.key, null) in expression.values
}

expression_matches(expression, labels) if {
	expression.operator == "Exists"
	expression.key in object.keys(labels)
}

expression_matches(expression, labels) if {
	expression.operator == "DoesNotExist"
	not expression.key in object.keys(labels)
}

# The policies of a direction that select a workload's pods.
policies_of(workload, direction) := [policy |
	some policy in network_policies
	namespace(policy) == workload.namespace
	direction in policy.spec.policyTypes
	selects(policy.spec.podSelector, workload.labels)
]

# Networks that no route of the internet leads to (RFC 6890, RFC 6598, RFC 4193).
private_networks := [
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
	"fc00::/7", "fe80::/10", "::1/128",
]

is_private(cidr) if {
	some network in private_networks
	net.cidr_contains(network, cidr)
}

# Whether an egress rule of a policy lets out to addresses of the internet, and not only to pods, inside,
# or to a host that is somebody's own.
is_public(_, rule) if count(object.get(rule, "to", [])) == 0

is_public(policy, rule) if {
	some peer in rule.to
	not is_private(peer.ipBlock.cidr)
	not is_own_host(policy, peer.ipBlock.cidr)
}

# A single public address that the operator said to be their own, and that the policy names as such.
is_own_host(policy, cidr) if {
	some suffix in ["/32", "/128"]
	endswith(cidr, suffix)
	cidr in split(object.get(policy.metadata, ["annotations", "keyturn/public-hosts"], ""), " ")
}
