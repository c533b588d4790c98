// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/discovery/static"
	"github.com/reattach/reattach/host/visit"
)

var errNoObjects = errors.New("this host is static and cannot load shared objects; build it with CGO_ENABLED=1, or run the plugin as a child")

// findPlaces gives the children and the shared objects in order of their names, and
// then the network plugins in the order in which they were given. With an error it
// gives those that it found all the same. A host that cannot load shared objects says
// so, and goes on.
func findPlaces(c Config, stderr io.Writer) ([]visit.Place, error) {
	paths, err := files(c.PluginDir, "*.po")
	objects, err2 := files(c.PluginDir, "*.so")
	err = cmp.Or(err, err2)
	var places []visit.Place
	for _, path := range paths {
		places = append(places, visit.ChildAt(path))
	}
	for _, path := range objects {
		if !so.Supported {
			fmt.Fprintf(stderr, "basic: %s: %v\n", path, errNoObjects)
			continue
		}
		places = append(places, visit.ObjectAt(path))
	}
	for _, address := range c.NetworkPlugin {
		places = append(places, networkPlace(address))
	}
	if err == nil && len(places) == 0 {
		return nil, fmt.Errorf("no plugins: PLUGIN_DIR=%q holds no *.po, and NETWORK_PLUGIN is empty", c.PluginDir)
	}
	return places, err
}

// networkPlace reads one element of NETWORK_PLUGIN. What has no form that the daemon
// would take is visited as it is, which says what is wrong with it.
func networkPlace(element string) visit.Place {
	entries, err := static.Parse(element)
	switch {
	case err != nil || len(entries) != 1:
		return visit.NetworkAt(element)
	case strings.Contains(element, "="):
		return visit.NamedNetworkAt(entries[0].Plugin, entries[0].Address())
	}
	return visit.NetworkAt(entries[0].Address())
}

// files gives those that ought to be plugins, sorted. A default
// directory that does not exist holds none; one that was asked for must exist.
func files(dir, pattern string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	_, asked := os.LookupEnv("PLUGIN_DIR")
	_, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) && !asked {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("PLUGIN_DIR: %w", err)
	}
	found, err := plugin.Discover(pattern, dir)
	if err != nil {
		return nil, fmt.Errorf("PLUGIN_DIR=%q: %w", dir, err)
	}
	slices.Sort(found)
	return found, nil
}
