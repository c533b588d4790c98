// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"cmp"
	"fmt"
	"net"

	"github.com/hashicorp/go-plugin"
)

// meetsStrangers reports whether hosts of which nothing is known can come to an address:
// it is neither of this machine alone, nor do hosts have to show a certificate.
func (o Options) meetsStrangers(at net.Addr) bool {
	if o.Network != nil && o.Network.TLS.CA != "" {
		return false
	}
	switch a := at.(type) {
	case *net.UnixAddr:
		return false
	case *net.TCPAddr:
		return !a.IP.IsLoopback()
	}
	return true
}

// checkListener says why hosts must not come to an address. The magic cookie is a variable of
// the child's environment: whoever names it could have a shell or a loader run code.
func (o Options) checkListener(at net.Addr) error {
	if o.Cookie != (plugin.HandshakeConfig{}) || !o.meetsStrangers(at) {
		return nil
	}
	return fmt.Errorf("%s can be reached from elsewhere, and a stranger must not choose the magic cookie, which is a variable of the executable's environment: "+
		"name it with --cookie KEY=VALUE, or listen on loopback (--listen 127.0.0.1:7000) or on a unix socket, "+
		"or take only hosts with a certificate (PLUGIN_TLS_CLIENT_CA_FILE)", o.called(at))
}

// warnOfStrangers says once that anybody who reaches an address may call the plugin.
func (o Options) warnOfStrangers(at net.Addr) {
	if o.meetsStrangers(at) {
		o.Logger.Warn("anybody who reaches the address can call the plugin: hosts show no certificate", "address", at.String(),
			"advice", "set PLUGIN_TLS_CLIENT_CA_FILE, or listen on loopback or on a unix socket, or let a NetworkPolicy say who may connect")
	}
}

// called names an address as whoever has chosen it does.
func (o Options) called(at net.Addr) string { return cmp.Or(o.ListenName, at.String()) }
