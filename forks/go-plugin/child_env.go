// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin/internal/env"
)

// outerHandshake is what a host sets for one child. In the environment of a
// process that is both, it was said by the host of that process, about the two
// of them. Where sockets go (PLUGIN_UNIX_SOCKET_DIR) holds for all.
var outerHandshake = []string{
	env.ClientCert, env.MultiplexGRPC, EnvUnixSocketGroup, env.ProtocolVersions, env.MinPort, env.MaxPort, envEndWithHost,
}

// HostEnv returns the environment that a child inherits from this process:
// all of it but what is about this process alone, if it is a plugin itself. That
// is where it would listen on the network (PLUGIN_HOST and its kin), and what its
// own host said to it.
//
// A host uses it with ClientConfig.SkipHostEnv to have Cmd.Env win over the
// inherited variables: on its own, a client appends those behind Cmd.Env, and
// of two entries with one name the last counts.
func HostEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return isOwnEnv(name)
	})
}

// withoutOwnEnv leaves out of a command's environment what is about this process
// alone and was copied with the rest of its environment. Other values are the
// host's own choice.
func withoutOwnEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		own, set := os.LookupEnv(name)
		return isOwnEnv(name) && set && value == own
	})
}

// isOwnEnv reports whether a variable says something to one process alone.
func isOwnEnv(name string) bool {
	return slices.Contains(env.Network(), name) || slices.Contains(outerHandshake, name)
}
