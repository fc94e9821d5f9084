# METADATA
# title: Workloads stay up and bounded
# description: Nodes are drained and pods replaced while calls go on, and a pod must not take its neighbours' memory.
# custom:
#   id: KT-0009
#   severity: MEDIUM
#   input:
#     selector:
#       - type: json
package user.keyturn.availability

import rego.v1

import data.lib.keyturn.release

deny contains result.new(message, {}) if {
	some workload in release.workloads
	workload.kind in {"Deployment", "StatefulSet"}
	not has_budget(workload)
	message := sprintf("No PodDisruptionBudget selects %s", [workload.title])
}

has_budget(workload) if {
	some budget in release.of_kind("PodDisruptionBudget")
	release.namespace(budget) == workload.namespace
	release.selects(budget.spec.selector, workload.labels)
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	some path in [["requests", "cpu"], ["requests", "memory"], ["limits", "memory"]]
	not object.get(entry.container, array.concat(["resources"], path), false)
	message := sprintf("%s must set resources.%s", [entry.title, concat(".", path)])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	entry.workload.kind == "Deployment"
	entry.container.name == entry.workload.component
	some probe in ["startupProbe", "livenessProbe", "readinessProbe"]
	not probes_health(entry.container, probe)
	message := sprintf("%s must have a %s on its health port", [entry.title, probe])
}

probes_health(container, probe) if {
	some port in container.ports
	port.name == "health"
	container[probe].grpc.port == port.containerPort
}

# A service that stops serving while it is still listed loses calls.
deny contains result.new(message, {}) if {
	some entry in release.containers
	entry.workload.kind == "Deployment"
	entry.container.name == entry.workload.component
	not sleeps(entry.container)
	message := sprintf("%s must sleep before it stops, until nobody calls it any more", [entry.title])
}

sleeps(container) if container.lifecycle.preStop.sleep.seconds > 0

# Ended work must not pile up, and a job that hangs must end.
deny contains result.new(message, {}) if {
	some item in input.objects
	spec := job_spec(item)
	not spec.activeDeadlineSeconds
	message := sprintf("%s %s must have activeDeadlineSeconds", [item.kind, item.metadata.name])
}

job_spec(item) := item.spec if item.kind == "Job"

job_spec(item) := item.spec.jobTemplate.spec if item.kind == "CronJob"

deny contains result.new(message, {}) if {
	some job in release.of_kind("CronJob")
	not job.spec.concurrencyPolicy == "Forbid"
	message := sprintf("CronJob %s must not run twice at a time", [job.metadata.name])
}
