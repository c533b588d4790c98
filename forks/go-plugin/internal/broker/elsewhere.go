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
	if isLocal(peer) {
		return nil
	}
	return elsewhere{here: ipOf(peer.LocalAddr()), there: ipOf(peer.RemoteAddr())}.check
}

// isLocal reports whether both ends of a connection are on this machine. What it does not know
// is not: behind a connection over ssh, vsock or a websocket is another machine, whatever its
// addresses are.
func isLocal(conn net.Conn) bool {
	local, remote := conn.LocalAddr(), conn.RemoteAddr()
	if _, ok := local.(*net.UnixAddr); ok {
		return true
	}
	if isInMemory(local) && isInMemory(remote) {
		return true
	}
	here, there := ipOf(local), ipOf(remote)
	if !here.IsValid() || here.IsUnspecified() { // as ssh has it for both ends
		return false
	}
	return here == there || here.IsLoopback() && there.IsLoopback()
}

// isInMemory reports whether an address is that of net.Pipe, or of gRPC's bufconn: both ends
// are within this process, which may dial whatever it likes without asking. Pipes of Windows
// have such a network as well, and say which pipe.
func isInMemory(addr net.Addr) bool {
	if addr == nil {
		return false
	}
	network := addr.Network()
	return (network == "pipe" || network == "bufconn") && addr.String() == network
}

// ipOf returns the IP address of an end over TCP, without the difference between one of IPv4
// and the same in IPv6. Of any other end it is not valid.
func ipOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// elsewhere has the two ends of a connection to another machine. They are not valid if it is
// not known where they are.
type elsewhere struct{ here, there netip.Addr }

// check says why an address of the other machine cannot be dialled from here.
func (e elsewhere) check(network, address string) error {
	if network == "unix" {
		return fmt.Errorf("it announces the unix socket %q, which is on its own machine", address)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("it announces %q, which is no IP address with a port", address)
	}
	ip := at.Addr().Unmap() // which takes a zone away as well
	if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() && !e.onLinkLocal(ip) {
		return fmt.Errorf("it announces %s, an address of its own machine alone", address)
	}
	if ip.WithZone("") == e.here.WithZone("") {
		return fmt.Errorf("it announces %s, an address of this machine and not of its own", address)
	}
	return nil
}

// onLinkLocal reports whether a link-local address can be the other machine's: of IPv6, in a
// session that is on the link itself. Those of IPv4 are where clouds tell machines who they are.
func (e elsewhere) onLinkLocal(ip netip.Addr) bool {
	return ip.Is6() && e.here.Is6() && e.here.IsLinkLocalUnicast() && e.there.Is6() && e.there.IsLinkLocalUnicast()
}
