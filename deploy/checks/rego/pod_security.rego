# METADATA
# title: Pods are restricted
# description: What Pod Security calls restricted, and a root file system that nobody can write to.
# custom:
#   id: KT-0005
#   severity: CRITICAL
#   input:
#     selector:
#       - type: json
package user.keyturn.pod_security

import rego.v1

import data.lib.keyturn.release

deny contains result.new(message, {}) if {
	some entry in release.containers
	some field, wanted in {
		"readOnlyRootFilesystem": true,
		"allowPrivilegeEscalation": false,
	}
	not entry.container.securityContext[field] == wanted
	message := sprintf("%s must have securityContext.%s %v", [entry.title, field, wanted])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	object.get(entry.container, ["securityContext", "privileged"], false)
	message := sprintf("%s is privileged", [entry.title])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	not "ALL" in entry.container.securityContext.capabilities.drop
	message := sprintf("%s must drop ALL capabilities", [entry.title])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	count(object.get(entry.container, ["securityContext", "capabilities", "add"], [])) > 0
	message := sprintf("%s adds capabilities", [entry.title])
}

# What holds for a container: its own setting, or else its pod's.
setting(entry, field) := value if value := entry.container.securityContext[field]

setting(entry, field) := value if {
	not field in object.keys(object.get(entry.container, "securityContext", {}))
	value := entry.workload.pod.securityContext[field]
}

# A function that is undefined makes the whole line undefined, with `not` before it or without.
is_not_root(entry) if setting(entry, "runAsNonRoot") == true

is_high(entry, field) if setting(entry, field) >= 10000

is_confined(entry) if setting(entry, "seccompProfile").type == "RuntimeDefault"

deny contains result.new(message, {}) if {
	some entry in release.containers
	not is_not_root(entry)
	message := sprintf("%s must have runAsNonRoot", [entry.title])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	some field in ["runAsUser", "runAsGroup"]
	not is_high(entry, field)
	message := sprintf("%s must have a %s from 10000", [entry.title, field])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	not is_confined(entry)
	message := sprintf("%s must have the seccomp profile RuntimeDefault", [entry.title])
}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	some field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"]
	object.get(workload.pod, field, false)
	message := sprintf("%s has %s", [workload.title, field])
}

allowed_volumes := {"configMap", "csi", "emptyDir", "persistentVolumeClaim", "projected", "secret"}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	some volume in object.get(workload.pod, "volumes", [])
	some kind in object.keys(volume)
	kind != "name"
	not kind in allowed_volumes
	message := sprintf("%s has volume %s of kind %s", [workload.title, volume.name, kind])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	some port in object.get(entry.container, "ports", [])
	port.hostPort
	message := sprintf("%s takes port %v of its node", [entry.title, port.hostPort])
}

# 288 is 0440: for the pod's own user and group, and for nobody else.
deny contains result.new(message, {}) if {
	some workload in release.workloads
	some volume in object.get(workload.pod, "volumes", [])
	source := secret_source(volume)
	not object.get(source, "defaultMode", 420) in {256, 288}
	message := sprintf("%s mounts %s so that every user of the pod can read it", [workload.title, volume.name])
}

secret_source(volume) := volume.secret

secret_source(volume) := volume.projected if {
	some source in volume.projected.sources
	some kind in ["secret", "serviceAccountToken"]
	source[kind]
}
