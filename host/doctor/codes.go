// SPDX-License-Identifier: MPL-2.0

package doctor

import (
	"maps"
	"slices"
)

// Code is the stable name of something that can be wrong: RA and four digits, of which
// the first two are those of a part of the way. A code is never given to anything else.
type Code string

// pages is where the pages of the documentation are.
const pages = "https://github.com/reattach/reattach/blob/main/docs/errors/"

// Page is the address of the code's page.
func (c Code) Page() string { return pages + string(c) + ".md" }

// Hop is the name of the hop that the code belongs to.
func (c Code) Hop() string { return catalogue[c].hop }

// Title says in a few words what is wrong.
func (c Code) Title() string { return catalogue[c].title }

// Codes gives all codes, in order.
func Codes() []Code { return slices.Sorted(maps.Keys(catalogue)) }

// The names of the hops, in the order of a way.
const (
	HopFile  = "file"
	HopStart = "start"

	HopRights  = "rights"
	HopService = "service"
	HopLabel   = "label"
	HopPorts   = "ports"
	HopPods    = "pods"
	HopSlices  = "slices"
	HopPolicy  = "policy"

	HopResolve  = "resolve"
	HopConnect  = "connect"
	HopTLS      = "tls"
	HopHello    = "hello"
	HopVersion  = "version"
	HopContract = "contract"
	HopHealth   = "health"
	HopPing     = "ping"
	HopCall     = "call"
)

// The codes. RA01 is about what says that there is a plugin, RA02 about its pods, RA03
// about the network, RA04 about TLS, RA05 about the handshake, RA06 about calls.
const (
	NoCluster          Code = "RA0101"
	NoRights           Code = "RA0102"
	NoService          Code = "RA0103"
	NoLabel            Code = "RA0104"
	OtherNamespace     Code = "RA0105"
	ExternalName       Code = "RA0106"
	NoPort             Code = "RA0107"
	BadAnnotation      Code = "RA0108"
	NoEventRights      Code = "RA0109"
	FileUnusable       Code = "RA0110"
	NoPods             Code = "RA0201"
	NotScheduled       Code = "RA0202"
	NoImage            Code = "RA0203"
	NotCreated         Code = "RA0204"
	CrashLoop          Code = "RA0205"
	NotReady           Code = "RA0206"
	Leaving            Code = "RA0207"
	NoTargetPort       Code = "RA0208"
	NotInSlices        Code = "RA0209"
	NoEndpoints        Code = "RA0210"
	PolicyIngress      Code = "RA0301"
	PolicyEgress       Code = "RA0302"
	NameUnknown        Code = "RA0303"
	NameUnanswered     Code = "RA0304"
	ConnectionRefused  Code = "RA0305"
	PacketsVanish      Code = "RA0306"
	NoSocket           Code = "RA0307"
	SocketUnused       Code = "RA0308"
	SocketForbidden    Code = "RA0309"
	HostTLSFiles       Code = "RA0401"
	PluginWithoutTLS   Code = "RA0402"
	PluginWantsTLS     Code = "RA0403"
	UnknownAuthority   Code = "RA0404"
	CertificateExpired Code = "RA0405"
	CertificateTooNew  Code = "RA0406"
	OtherName          Code = "RA0407"
	HostTurnedDown     Code = "RA0408"
	TLSBroken          Code = "RA0409"
	ExpiresSoon        Code = "RA0410"
	NotPlugin          Code = "RA0501"
	SaysNothing        Code = "RA0502"
	OtherCookie        Code = "RA0503"
	OtherVersion       Code = "RA0504"
	OtherProtocol      Code = "RA0505"
	Busy               Code = "RA0506"
	Draining           Code = "RA0507"
	Refused            Code = "RA0508"
	HungUp             Code = "RA0509"
	NotStarted         Code = "RA0510"
	OtherContract      Code = "RA0601"
	NoKind             Code = "RA0602"
	NotServing         Code = "RA0603"
	NoPing             Code = "RA0604"
	CallFailed         Code = "RA0605"
)

// entry is what is known of a code: its hop, what is wrong in a few words, and what to
// do.
type entry struct{ hop, title, do string }

var catalogue = map[Code]entry{
	NoCluster: {HopRights, "the API server does not answer",
		"look at KUBECONFIG and at the network; hosts keep what they have found, and calls go on"},
	NoRights: {HopRights, "the host may not read Services and EndpointSlices",
		"bind the Role of deploy/base/rbac.yaml to the host's service account in this namespace"},
	NoService: {HopService, "there is no such Service",
		"look at the name and the namespace (-n)"},
	NoLabel: {HopLabel, "the Service is no plugin for the host, by its labels",
		"kubectl label service NAME reattach.dev/plugin=true, or what KUBE_SELECTOR of the host asks for"},
	OtherNamespace: {HopLabel, "the host does not look into this namespace",
		"add the namespace to KUBE_NAMESPACES of the host, and bind the host's Role there"},
	ExternalName: {HopService, "a Service of type ExternalName has no pods",
		"name the address in NETWORK_PLUGIN of the host instead"},
	NoPort: {HopPorts, "the Service does not say which port the plugin listens on",
		`name the port "plugin", or say which in the annotation reattach.dev/port`},
	BadAnnotation: {HopPorts, "an annotation of the Service cannot be read",
		"write it as docs/kubernetes.md has it"},
	NoEventRights: {HopRights, "the host may not write Events",
		"nothing but kubectl describe service suffers; the Role of deploy/base/rbac.yaml has the right"},
	FileUnusable: {HopFile, "a file of PLUGIN_DIR cannot be used",
		"mend what is named, or take the file away: *.po are executables, *.so shared objects"},
	NoPods: {HopPods, "the Service selects no pods",
		"compare the Service's selector with the labels of the pods, and look whether there are replicas"},
	NotScheduled: {HopPods, "no node takes the pods",
		"kubectl describe pod says what is missing: resources, taints, volumes"},
	NoImage: {HopPods, "the image of the pods cannot be had",
		"look at the image's name, the registry, and imagePullSecrets"},
	NotCreated: {HopPods, "the containers cannot be created",
		"the message names what is missing, such as a Secret or ConfigMap; kubectl describe pod has the rest"},
	CrashLoop: {HopPods, "the plugin ends as soon as it has begun",
		"kubectl logs --previous says why; a plugin without its cookie, its certificate or its port ends at once"},
	NotReady: {HopPods, "the pods run and are not ready",
		"look at the readiness probe (PLUGIN_HEALTH_ADDR, /readyz) and at the pod's log"},
	Leaving: {HopPods, "all pods are leaving",
		"new pods should take their place: look at the Deployment, its replicas and its events"},
	NoTargetPort: {HopSlices, "the pods do not have the port that the Service names",
		"let targetPort of the Service be a name or number that a container of the pods has in its ports"},
	NotInSlices: {HopSlices, "ready pods are missing from the EndpointSlices",
		"the cluster's controller for EndpointSlices is late or off: look at kube-controller-manager"},
	NoEndpoints: {HopSlices, "the Service has no endpoint that takes calls",
		"a Service without a selector needs an EndpointSlice that is labelled kubernetes.io/service-name; one with a selector needs ready pods"},
	PolicyIngress: {HopPolicy, "NetworkPolicies keep the host away from the plugin's pods",
		"let a policy that selects the plugin's pods admit the host's pods to the plugin's port, as deploy/components/networkpolicy does"},
	PolicyEgress: {HopPolicy, "NetworkPolicies do not let the host out to the plugin",
		"let a policy that selects the host's pods allow egress to the plugin's pods and port"},
	NameUnknown: {HopResolve, "the name is not known",
		"is the name right? In Kubernetes it is SERVICE.NAMESPACE, of a Service that exists"},
	NameUnanswered: {HopResolve, "the name cannot be looked up",
		"no name server answers: look at the pods of the cluster's DNS, at dnsPolicy, and at policies that forbid port 53"},
	ConnectionRefused: {HopConnect, "nothing listens there",
		"does the plugin run, in network mode (PLUGIN_HOST), on this port (PLUGIN_MIN_PORT, PLUGIN_MAX_PORT), and not on loopback only?"},
	PacketsVanish: {HopConnect, "the address cannot be reached",
		"look at firewalls, NetworkPolicies, and whether the address is still in use"},
	NoSocket: {HopResolve, "there is no such socket",
		"does the plugin run with PLUGIN_HOST=unix://PATH, and do both see the same directory?"},
	SocketUnused: {HopConnect, "nothing listens on the socket",
		"the plugin that made it has ended, or was killed: start it again"},
	SocketForbidden: {HopConnect, "this user may not use the socket",
		"give it a group that both have (PLUGIN_UNIX_SOCKET_GROUP), or another mode (PLUGIN_UNIX_SOCKET_MODE)"},
	HostTLSFiles: {HopTLS, "the host's TLS files cannot be used",
		"mend the file that is named; in Kubernetes look at the Secret and its mount"},
	PluginWithoutTLS: {HopTLS, "the host asks for TLS, and the plugin does not speak it",
		"give the plugin a certificate (PLUGIN_TLS_CERT_FILE, PLUGIN_TLS_KEY_FILE), or name it in HOST_TLS_PLAIN_PLUGINS"},
	PluginWantsTLS: {HopHello, "the plugin speaks TLS, and the host does not",
		"set HOST_TLS_CA_FILE of the host, and take the plugin out of HOST_TLS_PLAIN_PLUGINS"},
	UnknownAuthority: {HopTLS, "the host does not know who signed the plugin's certificate",
		"put the authority's certificate into HOST_TLS_CA_FILE, or issue the plugin's certificate by that authority"},
	CertificateExpired: {HopTLS, "the plugin's certificate has expired",
		"renew it; the plugin reads its files again by itself when they change"},
	CertificateTooNew: {HopTLS, "the plugin's certificate is not valid yet",
		"compare the clocks of both machines with the certificate's dates"},
	OtherName: {HopTLS, "the plugin's certificate is for another name",
		"issue it for the plugin's name, or say which name it has: annotation reattach.dev/tls-server-name of the Service, --server-name here"},
	HostTurnedDown: {HopHello, "the plugin does not accept the host's certificate",
		"set HOST_TLS_CERT_FILE and HOST_TLS_KEY_FILE to a certificate by an authority in PLUGIN_TLS_CLIENT_CA_FILE, that is valid now"},
	TLSBroken: {HopTLS, "the TLS handshake does not come to an end",
		"is it a plugin, and does it run? Its log says what it thinks of the connection"},
	ExpiresSoon: {HopTLS, "the plugin's certificate expires soon",
		"renew it before that; with cert-manager look at the Certificate's status"},
	NotPlugin: {HopHello, "another program listens there",
		"look at the address, and at the plugin's port (PLUGIN_MIN_PORT, PLUGIN_MAX_PORT)"},
	SaysNothing: {HopHello, "something listens there, and does not answer",
		"is it a plugin, and does it run? A process that is stopped or starved of CPU accepts connections all the same"},
	OtherCookie: {HopHello, "the plugin was made for other hosts",
		"compare the magic cookies of both programs: HandshakeConfig in their code, BASIC_PLUGIN and the like in the pod"},
	OtherVersion: {HopVersion, "host and plugin have no version of the contract in common",
		"roll out a plugin that has a version of the host's too, or look at CONTRACT_VERSIONS of the host"},
	OtherProtocol: {HopVersion, "host and plugin have no protocol in common",
		"let the plugin serve the version over a protocol that the host speaks"},
	Busy: {HopHello, "the plugin has as many hosts as it takes",
		"run more replicas, or raise PLUGIN_MAX_SESSIONS"},
	Draining: {HopHello, "the plugin is about to leave",
		"it is being replaced or stopped: another instance should take its place"},
	Refused: {HopHello, "the plugin refuses the host",
		"its words say why; host and plugin may be of very different versions of the library"},
	HungUp: {HopHello, "the connection ends in the middle of the handshake",
		"look at the plugin's log, and whether a proxy or a load balancer stands between"},
	NotStarted: {HopStart, "a plugin of PLUGIN_DIR does not come to serve",
		"start it by hand, with the magic cookie of its hosts in the environment: it prints the line of a plugin, or says why not"},
	OtherContract: {HopContract, "the plugin lacks methods of the host's interface",
		"build the plugin against the present interface; other methods work as ever"},
	NoKind: {HopContract, "the plugin serves nothing that the host knows",
		"compare the names under which the plugin serves its interfaces with those of the host"},
	NotServing: {HopHealth, "the plugin says that it takes no calls",
		"it is being replaced or stopped, or its own health says so: look at its log"},
	NoPing: {HopPing, "the session is there, and nothing answers on it",
		"the plugin accepted the host and does not answer: look at its log, and whether it is starved of CPU"},
	CallFailed: {HopCall, "the call failed",
		"the plugin was reached: the error is its own, or it took too long; look at its log"},
}
