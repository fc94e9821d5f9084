# METADATA
# title: Secrets come as files
# description: A secret in the environment shows in crash reports, in kubectl describe and to every child process.
# custom:
#   id: KT-0001
#   severity: CRITICAL
#   input:
#     selector:
#       - type: json
package user.keyturn.secrets_in_env

import rego.v1

import data.lib.keyturn.release

deny contains result.new(message, {}) if {
	some entry in release.containers
	some variable in object.get(entry.container, "env", [])
	variable.valueFrom.secretKeyRef
	message := sprintf("%s takes %s from a Secret: mount it as a file", [entry.title, variable.name])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	some source in object.get(entry.container, "envFrom", [])
	source.secretRef
	message := sprintf("%s takes variables from Secret %s: mount it as a file", [entry.title, source.secretRef.name])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	some variable in object.get(entry.container, "env", [])
	variable.value
	regex.match(`(?i)(token|secret|passw|credential|api_?key|private)`, variable.name)
	message := sprintf("%s has variable %s, which is called like a secret", [entry.title, variable.name])
}

# What a secret looks like: keys of OpenAI, tokens of Vault, private keys.
looks_secret(text) if regex.match(`sk-(proj-|admin-|svcacct-)?[A-Za-z0-9_-]{16}|\b(hv[sb]|[sb])\.[A-Za-z0-9_-]{20}|-----BEGIN [A-Z ]*PRIVATE KEY`, text)

deny contains result.new(message, {}) if {
	some map in release.of_kind("ConfigMap")
	some name, text in object.get(map, "data", {})
	looks_secret(text)
	message := sprintf("ConfigMap %s holds what looks like a secret, in %s", [map.metadata.name, name])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	some field in ["command", "args"]
	some text in object.get(entry.container, field, [])
	looks_secret(text)
	message := sprintf("%s has what looks like a secret on its command line", [entry.title])
}

# The chart refers to Secrets that others make; what Helm renders, Helm keeps.
deny contains result.new(message, {}) if {
	some secret in release.of_kind("Secret")
	message := sprintf("Secret %s is rendered, and so kept in Helm's own records", [secret.metadata.name])
}
