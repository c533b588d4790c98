// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"fmt"
	"net"
	"net/netip"
)

// AnnouncedBy returns the check of what a peer announces that is on another machine. Its
// sockets and its loopback addresses are there: dialled from here they would be those of this
// machine, which the peer has no business with. It returns nil for a peer of this machine.
func AnnouncedBy(peer net.Conn) func(network, address string) error {
	remote, ok := peer.RemoteAddr().(*net.TCPAddr)
	if !ok || remote.IP.IsLoopback() {
		return nil
	}
	if local, ok := peer.LocalAddr().(*net.TCPAddr); ok && local.IP.Equal(remote.IP) {
		return nil
	}
	return checkElsewhere
}

// checkElsewhere says why an address of another machine cannot be dialled from here.
func checkElsewhere(network, address string) error {
	if network == "unix" {
		return fmt.Errorf("it announces the unix socket %q, which is on its own machine", address)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("it announces %q, which is no IP address with a port", address)
	}
	if ip := at.Addr().Unmap(); ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() {
		return fmt.Errorf("it announces %s, an address of its own machine alone", address)
	}
	return nil
}
