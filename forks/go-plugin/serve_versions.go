// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// servedVersion is one app version that a plugin can serve.
type servedVersion struct {
	version  int
	protocol Protocol
	plugins  PluginSet
	// netRPC lists the kinds as net/rpc would serve them, see describeNetRPC.
	netRPC func() ([]hello.Kind, bool)
}

// servedVersions lists what the plugin has, highest version first.
func servedVersions(opts *ServeConfig) []servedVersion {
	all := make(map[int]PluginSet)
	maps.Copy(all, opts.VersionedPlugins)
	if opts.Plugins != nil {
		all[int(opts.ProtocolVersion)] = opts.Plugins
	}
	var served []servedVersion
	for version, set := range all {
		served = append(served, servedVersion{version, protocolOf(set, opts), set,
			sync.OnceValues(func() ([]hello.Kind, bool) { return describeNetRPC(set) })})
	}
	slices.SortFunc(served, func(a, b servedVersion) int { return b.version - a.version })
	return served
}

// protocolOf is what a whole set is served over.
func protocolOf(set PluginSet, opts *ServeConfig) Protocol {
	if opts.GRPCServer == nil || len(set) == 0 {
		return ProtocolNetRPC
	}
	for _, p := range set {
		if _, ok := p.(GRPCPlugin); !ok {
			return ProtocolNetRPC
		}
	}
	return ProtocolGRPC
}

// versionForHost chooses what to serve to a host that lists its versions in the
// environment: the highest that both have. With none in common the lowest is
// served, because a host that lists nothing is an old one, and one that lists
// others can then name both sides' versions in its error.
func versionForHost(served []servedVersion, hostVersions []int) (servedVersion, error) {
	if len(served) == 0 {
		return servedVersion{}, fmt.Errorf("ServeConfig has neither Plugins nor VersionedPlugins: there is nothing to serve")
	}
	for _, v := range served {
		if slices.Contains(hostVersions, v.version) {
			return v, nil
		}
	}
	return served[len(served)-1], nil
}

// chosenVersion is the version that whoever deploys a network plugin has chosen.
func chosenVersion(served []servedVersion, chosen int) (servedVersion, error) {
	i := slices.Index(numbersOf(served), chosen)
	if i < 0 {
		return servedVersion{}, fmt.Errorf("%s asks for app version %d: this plugin has %v", env.DefaultVersion, chosen, numbersOf(served))
	}
	return served[i], nil
}

func numbersOf(served []servedVersion) []int {
	numbers := make([]int, len(served))
	for i, v := range served {
		numbers[i] = v.version
	}
	return numbers
}
