# METADATA
# title: Nothing is open to the outside by itself
# description: Services are for the cluster. What others reach goes through an ingress that somebody asked for.
# custom:
#   id: KT-0010
#   severity: HIGH
#   input:
#     selector:
#       - type: json
package user.keyturn.exposure

import rego.v1

import data.lib.keyturn.release

deny contains result.new(message, {}) if {
	some service in release.of_kind("Service")
	not object.get(service.spec, "type", "ClusterIP") in {"ClusterIP", "LoadBalancer"}
	message := sprintf("Service %s is of type %s", [service.metadata.name, service.spec.type])
}

# A load balancer is there only where somebody asked for it, and then they say who may call.
deny contains result.new(message, {}) if {
	some service in release.of_kind("Service")
	object.get(service.spec, "type", "ClusterIP") == "LoadBalancer"
	not is_bounded(service)
	message := sprintf("Service %s is a load balancer for anybody: name loadBalancerSourceRanges", [service.metadata.name])
}

is_bounded(service) if {
	count(service.spec.loadBalancerSourceRanges) > 0
	every range in service.spec.loadBalancerSourceRanges {
		not endswith(range, "/0")
	}
}

deny contains result.new(message, {}) if {
	some service in release.of_kind("Service")
	count(object.get(service.spec, "externalIPs", [])) > 0
	message := sprintf("Service %s takes addresses of the network", [service.metadata.name])
}

# The health port answers anybody in the clear: it is for the kubelet, and for nobody's Service.
deny contains result.new(message, {}) if {
	some service in release.of_kind("Service")
	some port in service.spec.ports
	port.targetPort in {"health", 8080}
	message := sprintf("Service %s leads to the health port", [service.metadata.name])
}

# A rule of ingress for everybody is one that nobody decided.
deny contains result.new(message, {}) if {
	some workload in release.workloads
	some policy in release.policies_of(workload, "Ingress")
	some rule in object.get(policy.spec, "ingress", [])
	count(object.get(rule, "ports", [])) == 0
	message := sprintf("NetworkPolicy %s opens every port of %s", [policy.metadata.name, workload.title])
}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	some policy in release.policies_of(workload, "Ingress")
	some rule in object.get(policy.spec, "ingress", [])
	count(object.get(rule, "from", [])) == 0
	message := sprintf("NetworkPolicy %s opens %s to everybody", [policy.metadata.name, workload.title])
}
