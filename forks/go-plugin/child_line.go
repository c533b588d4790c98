// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/hashicorp/go-plugin/runner"
)

// childLine is the one line in which a child says where and what it serves:
//
//	CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERT[|MUX]
type childLine struct {
	version          int
	network, address string
	protocol         Protocol
	// cert is the child's one-time certificate, empty without AutoMTLS.
	cert string
	// mux is "true" or "false" when the child was asked whether it can
	// multiplex, and empty when it does not know the question.
	mux string
}

// errShortLine is a line that is something else altogether.
var errShortLine = errors.New("too few fields")

// format writes the line without its newline. Hosts of before multiplexing take
// everything behind the fifth bar for the certificate, so the seventh field is
// written only to a host that asked.
func (l childLine) format() string {
	text := fmt.Sprintf("%d|%d|%s|%s|%s|%s", CoreProtocolVersion, l.version, l.network, l.address, l.protocol, l.cert)
	if l.mux != "" {
		text += "|" + l.mux
	}
	return text
}

// parseChildLine reads the line. What an error quotes of it is fit to be shown.
func parseChildLine(text string) (childLine, error) {
	line, err := parseChildFields(text)
	if err != nil {
		return childLine{}, peererr.Brief(err)
	}
	return line, nil
}

func parseChildFields(text string) (childLine, error) {
	fields := strings.Split(strings.TrimSpace(text), "|")
	if len(fields) < 4 {
		return childLine{}, errShortLine
	}
	core, err := strconv.Atoi(fields[0])
	if err != nil {
		return childLine{}, fmt.Errorf("error parsing core protocol version: %w", err)
	}
	if core != CoreProtocolVersion {
		return childLine{}, peererr.Incompatiblef("incompatible core API version with plugin. "+
			"Plugin version: %d, Core version: %d. Rebuild the plugin with a current go-plugin", core, CoreProtocolVersion)
	}
	line := childLine{network: fields[2], address: fields[3], protocol: ProtocolNetRPC}
	if line.version, err = strconv.Atoi(fields[1]); err != nil {
		return childLine{}, fmt.Errorf("error parsing protocol version %q: %w", fields[1], err)
	}
	if len(fields) > 4 {
		line.protocol = Protocol(fields[4])
	}
	// Some old plugins wrote other things into the sixth field. None was as
	// long as a certificate.
	if len(fields) > 5 && len(fields[5]) > 50 {
		line.cert = fields[5]
	}
	if len(fields) > 6 {
		line.mux = fields[6]
	}
	return line, nil
}

// addr translates the address from the child's view of the world to ours.
func (l childLine) addr(translate runner.AddrTranslator) (net.Addr, error) {
	network, address, err := translate.PluginToHost(l.network, l.address)
	if err != nil {
		return nil, fmt.Errorf("translate plugin address %s %s: %w", l.network, l.address, err)
	}
	return parseAddr(network, address)
}

// parseAddr reads an address that the other side announced.
func parseAddr(network, address string) (net.Addr, error) {
	switch network {
	case "tcp":
		return net.ResolveTCPAddr("tcp", address)
	case "unix":
		return net.ResolveUnixAddr("unix", address)
	default:
		return nil, fmt.Errorf("unknown address type %q of plugin address %q", network, address)
	}
}

// unrecognizedLine says what the child wrote and what may be wrong with it.
func unrecognizedLine(text string, child runner.Runner, note string) error {
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
