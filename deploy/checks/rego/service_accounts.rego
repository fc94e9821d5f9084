# METADATA
# title: Each component has a service account of its own
# description: Vault knows the components by their service accounts; two that share one share their rights.
# custom:
#   id: KT-0004
#   severity: CRITICAL
#   input:
#     selector:
#       - type: json
package user.keyturn.service_accounts

import rego.v1

import data.lib.keyturn.release

# Vault's roles are bound to accounts: what runs as an account has the rights of its role.
account_of := {
	"bootstrap": "bootstrap",
	"gateway-svc": "gateway-svc",
	"keyvault-svc": "keyvault-svc",
	"reconcile": "gateway-svc",
	"remind": "maintenance",
	"rewrap": "maintenance",
}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	account := object.get(workload.pod, "serviceAccountName", "default")
	wanted := object.get(account_of, workload.component, workload.component)
	not endswith(account, concat("", ["-", wanted]))
	message := sprintf("%s runs as service account %s, and not as that of %s", [workload.title, account, wanted])
}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	workload.component == ""
	message := sprintf("%s does not say what component it is", [workload.title])
}

deny contains result.new(message, {}) if {
	some workload in release.workloads
	name := workload.pod.serviceAccountName
	not name in {account.metadata.name | some account in release.of_kind("ServiceAccount")}
	message := sprintf("%s runs as service account %s, which the release does not make", [workload.title, name])
}

# The token of the Kubernetes API is nobody's business here.
deny contains result.new(message, {}) if {
	some workload in release.workloads
	not workload.pod.automountServiceAccountToken == false
	message := sprintf("%s mounts a token of the Kubernetes API", [workload.title])
}

deny contains result.new(message, {}) if {
	some account in release.of_kind("ServiceAccount")
	not account.automountServiceAccountToken == false
	message := sprintf("ServiceAccount %s mounts a token of the Kubernetes API", [account.metadata.name])
}

# A token for Vault is worth nothing elsewhere, and not for long.
deny contains result.new(message, {}) if {
	some workload in release.workloads
	some volume in object.get(workload.pod, "volumes", [])
	some source in volume.projected.sources
	token := source.serviceAccountToken
	not is_narrow(token)
	message := sprintf("%s mounts a token without an audience, or for more than an hour", [workload.title])
}

is_narrow(token) if {
	token.audience != ""
	token.expirationSeconds <= 3600
}

# One right is of use here: that cert-manager asks for tokens of one account, by which it logs in to Vault.
deny contains result.new(message, {}) if {
	some kind in ["Role", "ClusterRole"]
	some item in release.of_kind(kind)
	not asks_for_tokens_only(item)
	message := sprintf("%s %s: nothing here needs more of the Kubernetes API than tokens of one account", [kind, item.metadata.name])
}

asks_for_tokens_only(role) if {
	role.kind == "Role"
	every rule in role.rules {
		rule.resources == ["serviceaccounts/token"]
		rule.verbs == ["create"]
		count(rule.resourceNames) == 1
	}
}

# Nor may a pod of the release ask for a token of another account.
deny contains result.new(message, {}) if {
	some binding in release.of_kind("RoleBinding")
	some subject in binding.subjects
	some account in release.of_kind("ServiceAccount")
	subject.name == account.metadata.name
	message := sprintf("RoleBinding %s lets %s ask for tokens", [binding.metadata.name, subject.name])
}

# Vault may have each token ask for its own review; that right, and no other, is for the whole cluster.
deny contains result.new(message, {}) if {
	some binding in release.of_kind("ClusterRoleBinding")
	object.get(binding, ["roleRef", "name"], "") != "system:auth-delegator"
	message := sprintf("ClusterRoleBinding %s: nothing here needs the Kubernetes API", [binding.metadata.name])
}
