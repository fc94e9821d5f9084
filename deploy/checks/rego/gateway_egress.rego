# METADATA
# title: The gateway reaches what it must, and nothing else
# description: DNS, the gateway port of the key service, Vault, issuers of apps' tokens, receivers of traces, and OpenAI on port 443 of public addresses.
# custom:
#   id: KT-0002
#   severity: CRITICAL
#   input:
#     selector:
#       - type: json
package user.keyturn.gateway_egress

import rego.v1

import data.lib.keyturn.release

gateway_rules := [{"policy": policy.metadata.name, "object": policy, "rule": rule} |
	some workload in release.workloads
	workload.component == "gateway-svc"
	some policy in release.policies_of(workload, "Egress")
	some rule in object.get(policy.spec, "egress", [])
]

deny contains result.new(message, {}) if {
	some entry in gateway_rules
	not has_peers_and_ports(entry.rule)
	message := sprintf("NetworkPolicy %s lets the gateway out to anybody, or on any port", [entry.policy])
}

has_peers_and_ports(rule) if {
	count(rule.to) > 0
	count(rule.ports) > 0
	every port in rule.ports {
		port.port
		not port.endPort
	}
}

deny contains result.new(message, {}) if {
	some entry in gateway_rules
	some peer in entry.rule.to
	is_everyone(peer)
	message := sprintf("NetworkPolicy %s lets the gateway out to every pod", [entry.policy])
}

# A selector without any condition, in the namespace of the release or in all.
is_everyone(peer) if {
	some field in ["podSelector", "namespaceSelector"]
	peer[field]
	conditions := [condition |
		some part in ["podSelector", "namespaceSelector"]
		some kind in ["matchLabels", "matchExpressions"]
		some condition in peer[part][kind]
	]
	count(conditions) == 0
}

deny contains result.new(message, {}) if {
	some entry in gateway_rules
	release.is_public(entry.object, entry.rule)
	some port in entry.rule.ports
	not is_https(port)
	message := sprintf("NetworkPolicy %s lets the gateway out to public addresses on another port than 443", [entry.policy])
}

is_https(port) if {
	object.get(port, "protocol", "TCP") == "TCP"
	port.port == 443
	not port.endPort
}

# A wide block must leave out what is inside: pods, nodes, and the metadata of the cloud.
deny contains result.new(message, {}) if {
	some entry in gateway_rules
	some peer in entry.rule.to
	some network in release.private_networks
	same_family(peer.ipBlock.cidr, network)
	net.cidr_contains(peer.ipBlock.cidr, network)
	not leaves_out(peer.ipBlock, network)
	message := sprintf("NetworkPolicy %s lets the gateway out to %s, which is no public network", [entry.policy, network])
}

same_family(a, b) if contains(a, ":") == contains(b, ":")

leaves_out(block, network) if {
	some excepted in block.except
	same_family(excepted, network)
	net.cidr_contains(excepted, network)
}

# Of the key service only the port for gateways: the other is for people.
deny contains result.new(message, {}) if {
	some entry in gateway_rules
	some peer in entry.rule.to
	some workload in release.workloads
	workload.component != "gateway-svc"
	within_release(peer)
	release.selects(peer.podSelector, workload.labels)
	some port in entry.rule.ports
	not is_gateway_port(workload, port.port)
	message := sprintf("NetworkPolicy %s lets the gateway to port %v of %s", [entry.policy, port.port, workload.title])
}

within_release(peer) if {
	peer.podSelector
	not peer.namespaceSelector
}

within_release(peer) if {
	peer.podSelector
	release.selects(peer.namespaceSelector, {"kubernetes.io/metadata.name": release.workloads[0].namespace})
}

is_gateway_port(workload, port) if {
	workload.component == "keyvault-svc"
	some container in workload.pod.containers
	some listed in container.ports
	listed.name == "gateways"
	port in {listed.name, listed.containerPort}
}
