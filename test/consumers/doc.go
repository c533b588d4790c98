// SPDX-License-Identifier: MPL-2.0

// Package consumers runs programs of well-known plugin systems, written with
// their public SDKs, on the fork and on upstream go-plugin. Each program in
// peer/ is compiled twice from the same source: with go.mod, which requires
// upstream, and with fork.mod, which replaces it. What upstream's host gets from
// upstream's child defines what every other pair must get, as a child and over
// the network, where only the fork can be the plugin; and through basic expose and
// basic attach, with both ends upstream's.
//
// A consumer is a row of the table in consumers_test.go, a plugin in peer/NAME,
// and its host, which peer/host is when NAME is its first argument.
//
// Argo is a plugin of Argo Rollouts, over net/rpc.
//
// Grafana is a data source of grafana-plugin-sdk-go. It is served by the SDK's own
// Manage, which makes one gRPC server and panics when it is asked for another.
//
// Once has no SDK: its gRPC factory panics, or hands out the same server, when it
// is called again.
//
// Terraform is a provider of terraform-plugin-framework. peer/host speaks the plugin
// protocol, version 6, to it. TestTerraform runs it with the program terraform, where
// there is one.
//
// Terraform 0.11 is a provider and a provisioner over net/rpc. Its dependencies are
// old, so the module terraform011 has them, and a host of its own.
//
// Tflint is a ruleset of tflint-plugin-sdk, which calls its host back.
//
// Vault is a secrets engine, once with multiplexing and once without, and its host
// what Vault's core and catalog do with the SDK.
//
// Velero is an object store, served by Velero's plugin framework. It is in a module of
// its own as well, for its Kubernetes is older than Grafana's.
package consumers
