// SPDX-License-Identifier: MPL-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/printable"
	"github.com/hashicorp/go-plugin/runner"
)

// CoreVersion is the first field of the line.
const CoreVersion = 1

// Line is the one line in which a child says where and what it serves:
//
//	CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERT[|MULTIPLEX[|HELLO]]
type Line struct {
	Version          int // of the app
	Network, Address string
	Protocol         string
	// Cert is the child's one-time certificate, empty without AutoMTLS.
	Cert string
	// Multiplex is "true" or "false" when the child was asked whether it can
	// multiplex, and empty when it does not know the question.
	Multiplex string
	// Hello says that the child takes the handshake of package hello on its connections.
	Hello bool
}

// saysHello is the eighth field of a child that takes the handshake: how that begins.
const saysHello = hello.Prefix + "1"

// errShortLine is a line that is something else altogether.
var errShortLine = errors.New("too few fields")

// String returns the line without its newline. Hosts of before multiplexing take
// everything behind the fifth bar for the certificate, so the seventh and the eighth
// field are written only to a host that asked.
func (l Line) String() string {
	text := fmt.Sprintf("%d|%d|%s|%s|%s|%s", CoreVersion, l.Version, l.Network, l.Address, l.Protocol, l.Cert)
	if l.Multiplex != "" || l.Hello {
		text += "|" + l.Multiplex
	}
	if l.Hello {
		text += "|" + saysHello
	}
	return text
}

// ParseLine reads the line. What an error quotes of it is fit to be shown.
func ParseLine(text string) (Line, error) {
	fields := strings.Split(strings.TrimSpace(text), "|")
	if len(fields) < 4 {
		return Line{}, errShortLine
	}
	core, err := strconv.Atoi(fields[0])
	if err != nil {
		return Line{}, peererr.Brief(fmt.Errorf("error parsing core protocol version: %w", err))
	}
	if core != CoreVersion {
		return Line{}, peererr.Incompatiblef("incompatible core API version with plugin. "+
			"Plugin version: %d, Core version: %d. Rebuild the plugin with a current go-plugin", core, CoreVersion)
	}
	line := Line{Network: fields[2], Address: fields[3], Protocol: "netrpc"}
	if line.Version, err = strconv.Atoi(fields[1]); err != nil {
		return Line{}, peererr.Brief(fmt.Errorf("error parsing protocol version %q: %w", fields[1], err))
	}
	if len(fields) > 4 {
		line.Protocol = fields[4]
	}
	// Some old plugins wrote other things into the sixth field. None was as
	// long as a certificate.
	if len(fields) > 5 && len(fields[5]) > 50 {
		line.Cert = fields[5]
	}
	if len(fields) > 6 {
		line.Multiplex = fields[6]
	}
	line.Hello = len(fields) > 7 && fields[7] == saysHello
	return line, nil
}

// Addr translates the address from the child's view of the world to ours.
func (l Line) Addr(translate runner.AddrTranslator) (net.Addr, error) {
	network, address, err := translate.PluginToHost(l.Network, l.Address)
	if err != nil {
		return nil, fmt.Errorf("translate plugin address %s %s: %w", l.Network, l.Address, err)
	}
	switch network {
	case "tcp":
		return net.ResolveTCPAddr("tcp", address)
	case "unix":
		return net.ResolveUnixAddr("unix", address)
	default:
		return nil, fmt.Errorf("unknown address type %q of plugin address %q", network, address)
	}
}

// unrecognized says what the child wrote and what may be wrong with it.
func unrecognized(text, note string, child runner.Runner) error {
	message := "Unrecognized remote plugin message: " + printable.Clip(printable.Text(text), printable.MaxText)
	for _, more := range []string{note, child.Diagnose(context.Background())} {
		if more != "" {
			message += "\n" + more
		}
	}
	if text == "" {
		return peererr.Marked(ErrSaidNothing, message) // It may do better the next time.
	}
	return peererr.Incompatiblef("%s", message)
}

// ErrSaidNothing is documented where it is public, in the root package.
var ErrSaidNothing = errors.New("the child ended before it served")
