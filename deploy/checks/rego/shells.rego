# METADATA
# title: No container runs a shell
# description: The images hold none, so that whoever gets into a container finds no tool.
# custom:
#   id: KT-0006
#   severity: HIGH
#   input:
#     selector:
#       - type: json
package user.keyturn.shells

import rego.v1

import data.lib.keyturn.release

shells := {"sh", "bash", "ash", "dash", "ksh", "zsh", "busybox", "env", "python", "python3"}

commands(container) := [command |
	some path in [
		["command"],
		["args"],
		["lifecycle", "preStop", "exec", "command"],
		["lifecycle", "postStart", "exec", "command"],
		["livenessProbe", "exec", "command"],
		["readinessProbe", "exec", "command"],
		["startupProbe", "exec", "command"],
	]
	command := object.get(container, path, [])
	count(command) > 0
]

deny contains result.new(message, {}) if {
	some entry in release.containers
	some command in commands(entry.container)
	parts := split(command[0], "/")
	parts[count(parts) - 1] in shells
	message := sprintf("%s runs %s", [entry.title, command[0]])
}

deny contains result.new(message, {}) if {
	some entry in release.containers
	some command in commands(entry.container)
	"-c" in command
	message := sprintf("%s runs a command line", [entry.title])
}
