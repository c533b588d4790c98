// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"net"
	"path/filepath"
	"strings"
)

// Placement says how a plugin is reached, and so whether the host may stop it.
type Placement string

const (
	// Child is an executable that the host starts and stops.
	Child Placement = "child"
	// Network is an address where a plugin runs that the host only attaches to.
	Network Placement = "network"
	// InProcess is a shared object that is loaded into the host.
	InProcess Placement = "in-process"
)

// Place is where a plugin can be found.
type Place struct {
	// Name is what reports call the plugin.
	Name string
	// Placement says what Target is.
	Placement Placement
	// Target is the path of an executable or a shared object, or a host:port.
	Target string
}

// ChildAt gives the plugin in an executable file, named after the file without
// its ending.
func ChildAt(path string) Place {
	name := filepath.Base(path)
	return Place{Name: strings.TrimSuffix(name, filepath.Ext(name)), Placement: Child, Target: path}
}

// ObjectAt gives the plugin in a shared object, named as ChildAt names it.
func ObjectAt(path string) Place {
	p := ChildAt(path)
	p.Placement = InProcess
	return p
}

// NetworkAt gives the plugin that listens at address, a host:port.
func NetworkAt(address string) Place {
	return Place{Name: address, Placement: Network, Target: address}
}

// NamedNetworkAt gives the plugin of a name that listens at address. With TLS, its
// certificate must carry the name.
func NamedNetworkAt(name, address string) Place {
	return Place{Name: name, Placement: Network, Target: address}
}

// serverName is what the certificate of a network plugin must carry: its name, or
// the host part of its address where that is all there is.
func (p Place) serverName() string {
	if p.Name != p.Target {
		return p.Name
	}
	if host, _, err := net.SplitHostPort(p.Target); err == nil {
		return host
	}
	return p.Target
}

// address is a net.Addr for a host that may be a name: the dialer looks it up,
// under the same deadline as the dial itself.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
