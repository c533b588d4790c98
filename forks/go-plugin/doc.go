// SPDX-License-Identifier: MPL-2.0

// Package plugin runs Go plugins as child processes and as network services.
//
// It is an independent implementation of the API and the wire protocol of
// hashicorp/go-plugin, and a strict superset of both: a program written for
// that package builds against this one unchanged and speaks to peers built
// with either. What it adds is network mode. A plugin started with PLUGIN_HOST
// set listens on TCP, serves any number of hosts at once and outlives all of
// them; a host that reattaches to it by its address alone can lose it and find
// it again, and never ends it.
package plugin
