// SPDX-License-Identifier: MPL-2.0

// Package plan says what is measured, how often and in which order.
package plan

// Subject is one thing to measure, and the program that measures it.
type Subject struct {
	Name, Program string
	// Beside are further programs that it needs.
	Beside []string
	// About says for readers what it is.
	About string
	// Single takes one caller at a time.
	Single bool
	// Serial answers one caller at a time, however many there are.
	Serial bool
	// Aside is left out of what is measured of every subject.
	Aside bool
	// Far has a network of some length on the way: of that, one caller's calls are measured.
	Far bool
	// Curve puts it into the plot of latency against callers.
	Curve bool
	// Trips, if above 0, has its attaching measured, up to the answer to so many
	// calls.
	Trips int
	// Sessions has the memory of its sessions measured.
	Sessions bool
	// Remote has small calls made beside large ones, Streams messages sent in
	// streams, Cancels calls given up.
	Remote, Streams, Cancels bool
}

// Programs that measure.
const (
	Floor    = "floor"
	NetRPC   = "netrpc"
	GRPC     = "grpc"
	TTRPC    = "ttrpc"
	Wasm     = "wasm"
	Upstream = "upstream"
	Ours     = "ours"
	Shared   = "so"
	Basic    = "basic" // measures nothing itself
)

// Subjects are all there are, in the order of the tables.
func Subjects() []Subject {
	return []Subject{
		{Name: "direct", Program: Floor, About: "a Go call"},
		{Name: "pingpong-tcp", Program: Floor, Single: true, Trips: 3, About: "bytes there and back, loopback TCP"},
		{Name: "pingpong-relay", Program: Floor, Single: true, About: "the same through a process that copies them, to a unix socket"},
		{Name: "pingpong-unix", Program: Floor, Single: true, About: "bytes there and back, unix socket"},

		{Name: "bare-netrpc", Program: NetRPC, Curve: true, Trips: 1, Sessions: true, About: "Go's net/rpc alone, TCP"},
		{Name: "bare-netrpc-100", Program: NetRPC, About: "the same, 100 connections in turn"},
		{Name: "bare-grpc", Program: GRPC, Curve: true, Trips: 1, Sessions: true, Remote: true, Streams: true, Cancels: true, About: "grpc-go alone, TCP"},
		{Name: "proxy-grpc", Program: GRPC, About: "the same through a process that hands calls on, to a unix socket"},
		{Name: "ttrpc", Program: TTRPC, About: "containerd's ttrpc, unix socket"},
		{Name: "wasm", Program: Wasm, Serial: true, About: "WebAssembly in the host's process, knqyf263/go-plugin"},
		{Name: "upstream-child-netrpc", Program: Upstream, Curve: true, Trips: 1, About: "go-plugin v1.8.0, child, net/rpc"},
		{Name: "upstream-child-grpc", Program: Upstream, Curve: true, Trips: 1, About: "go-plugin v1.8.0, child, gRPC"},
		{Name: "upstream-child-gmux", Program: Upstream, About: "the same, broker multiplexed"},
		{Name: "upstream-tcp-netrpc", Program: Upstream, Trips: 1, Sessions: true, Remote: true, About: "go-plugin v1.8.0, its RPCServer over TCP"},

		{Name: "so", Program: Shared, About: "shared object in the host's process, routed, net/rpc"},
		{Name: "child-netrpc", Program: Ours, Trips: 1, About: "child, net/rpc"},
		{Name: "child-grpc", Program: Ours, Trips: 1, About: "child, gRPC"},
		{Name: "child-gmux", Program: Ours, About: "the same, broker multiplexed"},
		{Name: "network-netrpc", Program: Ours, Curve: true, Trips: 1, Sessions: true, Cancels: true, About: "network, net/rpc"},
		{Name: "network-grpc", Program: Ours, Curve: true, Trips: 1, Sessions: true, Streams: true, Cancels: true, About: "network, gRPC"},
		{Name: "deadline-netrpc", Program: Ours, About: "network, net/rpc, each call with a deadline of the caller's"},
		{Name: "unix-netrpc", Program: Ours, About: "the same on a unix socket, net/rpc"},
		{Name: "unix-grpc", Program: Ours, About: "the same on a unix socket, gRPC"},
		{Name: "mtls-netrpc", Program: Ours, Trips: 1, Sessions: true, About: "network with mTLS, net/rpc"},
		{Name: "mtls-grpc", Program: Ours, Trips: 1, Sessions: true, About: "network with mTLS, gRPC"},
		{Name: "expose-netrpc", Program: Ours, Beside: []string{Basic, Upstream}, About: "basic expose, upstream's child behind it, net/rpc"},
		{Name: "expose-grpc", Program: Ours, Beside: []string{Basic, Upstream}, About: "basic expose, upstream's child behind it, gRPC"},
		{Name: "attach-netrpc", Program: Upstream, Beside: []string{Basic, Ours}, About: "upstream's host, basic attach, plugin on the network, net/rpc"},
		{Name: "attach-grpc", Program: Upstream, Beside: []string{Basic, Ours}, About: "upstream's host, basic attach, plugin on the network, gRPC"},
		{Name: "shims-netrpc", Program: Upstream, Beside: []string{Basic}, About: "upstream's host, basic attach, basic expose, upstream's child, net/rpc"},
		{Name: "shims-grpc", Program: Upstream, Beside: []string{Basic}, About: "upstream's host, basic attach, basic expose, upstream's child, gRPC"},
		{Name: "far-netrpc", Program: Ours, Far: true, About: "network-netrpc, 0.25 ms away"},
		{Name: "far-grpc", Program: Ours, Far: true, About: "network-grpc, 0.25 ms away"},
		{Name: "far-bare-grpc", Program: GRPC, Far: true, About: "bare-grpc, 0.25 ms away"},
		{Name: "far-expose-netrpc", Program: Ours, Beside: []string{Basic, Upstream}, Far: true, About: "expose-netrpc, 0.25 ms away"},
		{Name: "far-expose-grpc", Program: Ours, Beside: []string{Basic, Upstream}, Far: true, About: "expose-grpc, 0.25 ms away"},
		{Name: "far-attach-netrpc", Program: Upstream, Beside: []string{Basic, Ours}, Far: true, About: "attach-netrpc, with 0.25 ms from basic attach to the plugin"},
		{Name: "far-attach-grpc", Program: Upstream, Beside: []string{Basic, Ours}, Far: true, About: "attach-grpc, with 0.25 ms from basic attach to the plugin"},
		{Name: "far-shims-netrpc", Program: Upstream, Beside: []string{Basic}, Far: true, About: "shims-netrpc, with 0.25 ms between the two"},
		{Name: "far-shims-grpc", Program: Upstream, Beside: []string{Basic}, Far: true, About: "shims-grpc, with 0.25 ms between the two"},
		{Name: "routed-1-netrpc", Program: Ours, Curve: true, Remote: true, Cancels: true, About: "host library, 1 endpoint, net/rpc"},
		{Name: "routed-3-netrpc", Program: Ours, About: "host library, 3 endpoints, net/rpc"},
		{Name: "routed-100-netrpc", Program: Ours, About: "host library, 100 endpoints, net/rpc"},
		{Name: "routed-1-grpc", Program: Ours, Curve: true, Remote: true, Streams: true, Cancels: true, About: "host library, 1 endpoint, gRPC"},
		{Name: "routed-3-grpc", Program: Ours, About: "host library, 3 endpoints, gRPC"},
		{Name: "routed-100-grpc", Program: Ours, About: "host library, 100 endpoints, gRPC"},

		{Name: "busy-1", Program: Ours, Aside: true, About: "1 endpoint of a plugin that is busy for 1 ms a call, 4 calls at once"},
		{Name: "busy-3", Program: Ours, Aside: true, About: "3 of them"},
		{Name: "fleet-netrpc", Program: Ours, Aside: true, About: "endpoints of the host library, net/rpc"},
		{Name: "fleet-grpc", Program: Ours, Aside: true, About: "endpoints of the host library, gRPC"},
	}
}
