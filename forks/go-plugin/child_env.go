// SPDX-License-Identifier: MPL-2.0

package plugin

// HostEnv returns the environment that a child inherits from this process:
// all of it but what says where this process itself would listen on the
// network (PLUGIN_HOST and its kin).
//
// A host uses it with ClientConfig.SkipHostEnv to have Cmd.Env win over the
// inherited variables: on its own, a client appends those behind Cmd.Env, and
// of two entries with one name the last counts.
func HostEnv() []string { return inheritedEnv() }
