// SPDX-License-Identifier: MPL-2.0

// Package attach stands in for a plugin towards a host that cannot be changed: the host
// starts this process as it would start the plugin, and every call goes on to the
// plugin's endpoints on the network, by the same fleet and stubs as a daemon's calls.
//
// Nothing in it knows a contract. Over gRPC messages pass as they are, under whatever
// method they have; over net/rpc the bytes of each dispensed kind do.
package attach
