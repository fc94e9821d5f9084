# METADATA
# title: Images are named by a version or a digest
# description: What latest means changes without a release, and nobody can tell afterwards what ran.
# custom:
#   id: KT-0007
#   severity: HIGH
#   input:
#     selector:
#       - type: json
package user.keyturn.images

import rego.v1

import data.lib.keyturn.release

deny contains result.new(message, {}) if {
	some entry in release.containers
	not is_pinned(entry.container.image)
	message := sprintf("%s runs image %s, which names no version", [entry.title, entry.container.image])
}

is_pinned(image) if regex.match(`@sha256:[0-9a-f]{64}$`, image)

is_pinned(image) if {
	# A port of the registry stands before a slash, a tag never does.
	tag := regex.find_all_string_submatch_n(`:([A-Za-z0-9_][A-Za-z0-9._-]*)$`, image, 1)[0][1]
	tag != "latest"
}
