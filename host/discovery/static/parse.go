// SPDX-License-Identifier: MPL-2.0

package static

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/reattach/reattach/host/target"
)

// dnsScheme starts an address whose records are endpoints each.
const dnsScheme = "dns:///"

// Entry is one element of the list that Parse reads.
type Entry struct {
	// Plugin is the name before "=", else the host, else (for an IP address)
	// the whole address, as several plugins may share one IP.
	Plugin string
	// Host is a DNS name or an IP address without brackets.
	Host string
	// Port is a number from 1 to 65535.
	Port string
	// Socket is the path of a unix socket, and there is neither Host nor Port then.
	Socket string
	// Resolve is set for dns:///: each address record is an endpoint.
	Resolve bool
	// Affinity and Replay are those of target.Plugin.
	Affinity bool
	Replay   string
}

// declaration is what an element says of its plugin.
func (e Entry) declaration() target.Plugin {
	return target.Plugin{Name: e.Plugin, Affinity: e.Affinity, Replay: e.Replay}
}

// Address gives host:port, with brackets where IPv6 needs them, or unix:///path.
func (e Entry) Address() string {
	if e.Socket != "" {
		return target.SocketScheme + e.Socket
	}
	return net.JoinHostPort(e.Host, e.Port)
}

// serverName gives the name to verify where the plugin's own name cannot be
// one: a plugin that is named by its IP address and port.
func (e Entry) serverName() string {
	if e.Plugin == e.Address() {
		return e.Host
	}
	return ""
}

// Parse reads a comma list whose elements are
//
//	host:port               a plugin named after its host
//	name=host:port          the same under another name
//	dns:///host:port        one endpoint for each address record of the host
//	name=dns:///host:port   the same under another name
//	unix:///path            a plugin named after its socket, without the ending
//	name=unix:///path       the same under another name
//
// where host is a name, an IPv4 address or an IPv6 address in brackets. Options may
// follow, for plugins that remember what a host has told them: ";affinity=session", and
// ";replay=METHOD" for each method whose last accepted request every endpoint gets.
// Elements with the same plugin are endpoints of that one plugin. Spaces
// around elements and empty elements mean nothing. The error says of
// every element that is wrong what to write instead.
func Parse(list string) ([]Entry, error) {
	var entries []Entry
	var errs []error
	seen := make(map[Entry]bool)
	for i, text := range strings.Split(list, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		e, err := parseEntry(text)
		place := Entry{Plugin: e.Plugin, Host: e.Host, Port: e.Port, Socket: e.Socket, Resolve: e.Resolve}
		if err == nil && seen[place] {
			err = errors.New("it is listed twice: remove one")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("entry %d %q: %w", i+1, text, err))
			continue
		}
		seen[place] = true
		entries = append(entries, e)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return entries, nil
}

func parseEntry(text string) (Entry, error) {
	text, options, _ := strings.Cut(text, ";")
	e, err := parseAddress(text)
	if err != nil || options == "" {
		return e, err
	}
	return e, e.setOptions(options)
}

// setOptions reads what follows an address.
func (e *Entry) setOptions(text string) error {
	var replay []string
	for _, option := range strings.Split(text, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(option), "=")
		switch {
		case name == "affinity" && value == "session":
			e.Affinity = true
		case name == "affinity":
			return fmt.Errorf("affinity is %q: write affinity=session, or leave it out", value)
		case name == "replay" && methodName.MatchString(value):
			replay = append(replay, value)
		case name == "replay":
			return fmt.Errorf("replay is %q: write the name of one method, as in replay=Configure", value)
		default:
			return fmt.Errorf("option %q is not understood: there are affinity=session and replay=METHOD", option)
		}
	}
	e.Replay = strings.Join(replay, ",")
	return nil
}

// methodName is what a method can be called.
var methodName = regexp.MustCompile(`^\pL[\pL\p{Nd}_]*$`)

func parseAddress(text string) (Entry, error) {
	name, address, named := strings.Cut(text, "=")
	if !named {
		name, address = "", text
	}
	name, address = strings.TrimSpace(name), strings.TrimSpace(address)
	if named && name == "" {
		return Entry{}, errors.New("there is no name before \"=\": write name=host:port, or host:port alone")
	}
	if path, ok := cutSocket(address); ok {
		e := Entry{Plugin: name, Socket: path}
		if name == "" {
			e.Plugin = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		}
		return e, cmp.Or(target.ValidateSocketPath(path), target.ValidateName(e.Plugin))
	}
	address, resolve := strings.CutPrefix(address, dnsScheme)
	if scheme, _, url := strings.Cut(address, "://"); url {
		return Entry{}, fmt.Errorf("%s:// is not understood: write host:port, dns:///host:port or unix:///path", scheme)
	}
	e := Entry{Plugin: name, Resolve: resolve}
	if err := e.setAddress(address); err != nil {
		return Entry{}, err
	}
	if e.Plugin == "" {
		e.Plugin = strings.TrimSuffix(e.Host, ".")
		if isIP(e.Host) {
			e.Plugin = e.Address()
		}
	}
	return e, target.ValidateName(e.Plugin)
}

// cutSocket gives what follows unix:// or, which gRPC takes as well, unix: alone.
func cutSocket(address string) (path string, ok bool) {
	if path, ok = strings.CutPrefix(address, target.SocketScheme); ok {
		return path, true
	}
	return strings.CutPrefix(address, "unix:")
}

// hostName is what resolvers accept: labels of letters, digits, hyphens and
// (seen in practice) underscores.
var hostName = regexp.MustCompile(`^[\p{L}\p{N}_]([\p{L}\p{N}_-]*[\p{L}\p{N}_])?(\.[\p{L}\p{N}_]([\p{L}\p{N}_-]*[\p{L}\p{N}_])?)*\.?$`)

func (e *Entry) setAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return explainSplit(address, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	switch {
	case host == "":
		return fmt.Errorf("the host is missing: write 127.0.0.1:%s for this machine", port)
	case e.Resolve && isIP(host):
		return fmt.Errorf("%s is an address already: write %s without %s", host, address, dnsScheme)
	case !isIP(host) && !hostName.MatchString(host):
		return fmt.Errorf("%q is neither a host name nor an IP address", host)
	}
	e.Host, e.Port = host, port
	return nil
}

// explainSplit says what to write in place of an address that
// net.SplitHostPort did not take.
func explainSplit(address string, err error) error {
	bare := strings.Trim(address, "[]")
	switch {
	case address == "":
		return errors.New("the address is missing: write host:port")
	case isIP(bare) && strings.Contains(bare, ":"):
		return fmt.Errorf("it has no port: write [%s]:7000, or whatever the port is; IPv6 addresses need the brackets", bare)
	case strings.Count(address, ":") > 1 && !strings.Contains(address, "["):
		return errors.New("it has too many colons: write an IPv6 address in brackets, [::1]:7000")
	case !strings.Contains(address, ":"):
		return fmt.Errorf("it has no port: write %s:7000, or whatever the port is", address)
	}
	if ae, ok := errors.AsType[*net.AddrError](err); ok {
		return fmt.Errorf("it is not host:port: %s", ae.Err)
	}
	return fmt.Errorf("it is not host:port: %w", err)
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
