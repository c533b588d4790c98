// SPDX-License-Identifier: MPL-2.0

// Program velero is an object store of Velero, served by its plugin framework.
package main

import (
	"github.com/spf13/pflag"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework"
)

func main() {
	buckets := &buckets{objects: make(map[string]map[string][]byte)}
	framework.NewServer().
		BindFlags(pflag.NewFlagSet("velero", pflag.ContinueOnError)).
		RegisterObjectStore("example.org/sample", buckets.initialize).
		Serve()
}
