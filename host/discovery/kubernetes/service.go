// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reattach/reattach/host/target"
)

// annotationPrefix is that of all annotations which are kept of a Service.
const annotationPrefix = "reattach.dev/"

// The annotations of a Service that the source reads.
const (
	// AnnotationPort is the port of the pods that the plugin listens on: its
	// name in the Service, or its number. Without it, the port named
	// "plugin" is taken, else the only one.
	AnnotationPort = "reattach.dev/port"
	// AnnotationTLSServerName is the name that the plugin's certificate must
	// carry. Without it, that is the plugin's name.
	AnnotationTLSServerName = "reattach.dev/tls-server-name"
	// AnnotationRequired "true" makes the host unready while the plugin has
	// no ready endpoint.
	AnnotationRequired = "reattach.dev/required"
)

// declines reports whether a Service says by the value of its label that it is no
// plugin, although a selector that asks for the label alone matches it.
func declines(svc *corev1.Service) bool {
	switch strings.ToLower(svc.Labels[DefaultSelector]) {
	case "false", "no", "off", "0":
		return true
	}
	return false
}

// pluginPort is the name of the port that is taken without AnnotationPort.
const pluginPort = "plugin"

// settings are what the annotations of a Service say.
type settings struct {
	plugin, subject string
	portName        string
	portNumber      uint16 // zero: not given by number
	serverName      string
	required        bool
	notReady        bool // addresses count although they are not ready
	family          discoveryv1.AddressType
	problems        []target.Problem
}

func settingsOf(plugin string, svc *corev1.Service) *settings {
	s := &settings{
		plugin: plugin, subject: "service " + serviceKey(svc.Namespace, svc.Name),
		serverName: svc.Annotations[AnnotationTLSServerName],
		notReady:   svc.Spec.PublishNotReadyAddresses,
		family:     discoveryv1.AddressTypeIPv4,
	}
	if len(svc.Spec.IPFamilies) > 0 {
		s.family = discoveryv1.AddressType(svc.Spec.IPFamilies[0])
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		s.problem("a Service of type ExternalName has no endpoints: name the address in NETWORK_PLUGIN")
	}
	if v, ok := svc.Annotations[AnnotationRequired]; ok {
		required, err := strconv.ParseBool(v)
		if err != nil {
			s.problem("annotation %s is %q: want true or false; it is taken for true", AnnotationRequired, v)
		}
		s.required = required || err != nil
	}
	if v, ok := svc.Annotations[AnnotationPort]; ok {
		s.port(v)
	}
	return s
}

// port reads AnnotationPort.
func (s *settings) port(v string) {
	n, err := strconv.ParseUint(v, 10, 16)
	switch {
	case err == nil && n > 0:
		s.portNumber = uint16(n)
	case strings.Trim(v, "0123456789") == "":
		s.problem("annotation %s is %q: want the name of a port or a number from 1 to 65535", AnnotationPort, v)
	default:
		s.portName = v
	}
}

// problem notes one, once.
func (s *settings) problem(format string, args ...any) {
	reason := printable.Clip(fmt.Sprintf(format, args...), printable.MaxText) // an annotation may have 256 KiB
	p := target.Problem{Plugin: s.plugin, Subject: s.subject, Reason: reason}
	if !slices.Contains(s.problems, p) {
		s.problems = append(s.problems, p)
	}
}

// portOf finds the port of a slice, or notes what keeps it away.
func (s *settings) portOf(slice *discoveryv1.EndpointSlice) (uint16, bool) {
	if s.portNumber != 0 {
		return s.portNumber, true
	}
	var named, all []discoveryv1.EndpointPort
	wanted := s.portName
	if wanted == "" {
		wanted = pluginPort
	}
	for _, p := range slice.Ports {
		if p.Port == nil || *p.Port < 1 || *p.Port > 65535 || p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP {
			continue
		}
		all = append(all, p)
		if p.Name != nil && *p.Name == wanted {
			named = append(named, p)
		}
	}
	switch {
	case len(named) > 0:
		return uint16(*named[0].Port), true
	case s.portName != "":
		s.problem("annotation %s: no TCP port of the Service is named %q", AnnotationPort, s.portName)
	case len(all) == 1:
		return uint16(*all[0].Port), true
	case len(all) == 0:
		s.problem("no TCP port: give the Service one, or its number in annotation %s", AnnotationPort)
	default:
		s.problem("%d TCP ports, none of them named %q: name one so, or say which in annotation %s", len(all), pluginPort, AnnotationPort)
	}
	return 0, false
}
