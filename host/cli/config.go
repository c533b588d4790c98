// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/printable"
	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/kelseyhightower/envconfig"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/discovery/static"
)

// config is what the program reads from its environment. No name in it is one that
// Kubernetes may set for a Service (NAME_PORT, NAME_SERVICE_HOST and the like).
type config struct {
	hostConfig
	programConfig
	program Options
}

// hostConfig has the same names for every program. The tags desc say what each is.
type hostConfig struct {
	PluginDir        string        `envconfig:"PLUGIN_DIR" desc:"directory of executables (*.po) to start as children, and of shared objects (*.so) to load, or several with : between; empty for none"`
	NetworkPlugin    []string      `envconfig:"NETWORK_PLUGIN" desc:"comma list of network plugins: host:port, name=host:port, unix:///path of a socket, or dns:///host:port for one endpoint of each address record; ;affinity=session and ;replay=METHOD may follow, for plugins that remember what they were told"`
	NetworkPluginDir string        `envconfig:"NETWORK_PLUGIN_DIR" desc:"directory of unix sockets (NAME.sock) that network plugins serve on; it need not exist yet"`
	Zone             string        `envconfig:"HOST_ZONE" desc:"zone of this host: calls stay in it while a quarter of the ready endpoints are there, or as the hints of EndpointSlices have it"`
	Node             string        `envconfig:"HOST_NODE" desc:"node of this host: calls stay on it where the hints of EndpointSlices mean endpoints for it (trafficDistribution: PreferSameNode)"`
	RequiredPlugins  []string      `envconfig:"REQUIRED_PLUGINS" desc:"comma list of plugins without which serve is not ready"`
	LogLevel         string        `envconfig:"LOG_LEVEL" default:"info" desc:"trace, debug, info, warn, error or off; logs go to stderr, results to stdout. Commands other than serve log only if it is set"`
	LogFormat        string        `envconfig:"LOG_FORMAT" default:"text" desc:"text for people, or json: one object a line, with the keys @timestamp, @level, @module, @message and those of the event"`
	AttachTimeout    time.Duration `envconfig:"ATTACH_TIMEOUT" default:"10s" desc:"how long starting or reaching a plugin may take"`
	CallTimeout      time.Duration `envconfig:"CALL_TIMEOUT" default:"30s" desc:"how long a plugin may take to answer one call"`
	MaxMessage       int           `envconfig:"HOST_MAX_MESSAGE" default:"67108864" desc:"how many bytes one message to a plugin or from it may have; a larger one is an error of its call"`
	DrainTimeout     time.Duration `envconfig:"DRAIN_TIMEOUT" default:"20s" desc:"how long calls in flight may take when the host ends, or an endpoint leaves"`
	Balancer         string        `envconfig:"BALANCER" default:"least-request" desc:"which of several ready endpoints gets a call: round-robin or least-request"`
	ContractVersions versionList   `envconfig:"CONTRACT_VERSIONS" desc:"comma list of the versions of the contract to speak; empty for all that the program knows"`
	TLSCertFile      string        `envconfig:"HOST_TLS_CERT_FILE" desc:"certificate that this host shows network plugins, read again when it changes"`
	TLSKeyFile       string        `envconfig:"HOST_TLS_KEY_FILE" desc:"key of that certificate"`
	TLSCAFile        string        `envconfig:"HOST_TLS_CA_FILE" desc:"authority that vouches for network plugins; with it they are reached by TLS only"`
	TLSPlainPlugins  []string      `envconfig:"HOST_TLS_PLAIN_PLUGINS" desc:"comma list of plugins that may speak plain TCP although TLS is configured"`
}

// pluginDir is the variable whose default is the program's, Options.PluginDir.
const pluginDir = "PLUGIN_DIR"

// programConfig has names that begin with the program's.
type programConfig struct {
	Listen         string `split_words:"true" default:"127.0.0.1:8080" desc:"host:port of the HTTP API of serve; empty for none"`
	TokenFile      string `split_words:"true" desc:"file of the bearer token that calls over HTTP need; required where the API does not listen on loopback"`
	NoCalls        bool   `split_words:"true" default:"false" desc:"true takes no calls over HTTP, so that the API needs no token"`
	MaxCalls       int    `split_words:"true" default:"256" desc:"how many calls over HTTP may be in flight at once"`
	MaxPluginCalls int    `split_words:"true" default:"64" desc:"how many of them may be calls of one plugin, so that one which does not answer leaves room for others"`
	Pprof          string `split_words:"true" desc:"host:port on loopback at which serve has Go's profiles (/debug/pprof/); empty for none"`
	Server         string `split_words:"true" desc:"URL of the daemon that plugins and call ask; if empty it is the one of this machine where its address is set, or no plugins are named; else they attach to the plugins by themselves"`
}

// readConfig reads the environment for a command. An error names the variable and
// what is wrong.
func (o Options) readConfig() (config, error) {
	c := config{program: o}
	for _, part := range c.parts() {
		switch err := envconfig.Process(part.prefix, part.fields); {
		case errors.Is(err, envconfig.ErrInvalidSpecification):
			return c, failf(exitUsage, "Environment or Finders has a %T: want a pointer to a struct", part.fields)
		case err != nil:
			return c, &failure{exitUsage, o.readable(err)}
		}
		for _, field := range reflect.ValueOf(part.fields).Elem().Fields() {
			if !field.CanSet() {
				continue
			}
			if list, ok := field.Addr().Interface().(*[]string); ok {
				*list = trimmed(*list)
			}
		}
	}
	if _, asked := os.LookupEnv(pluginDir); !asked {
		c.PluginDir = o.PluginDir
	}
	var err error
	if c.program, err = o.settled(); err != nil {
		return c, err
	}
	if err := c.validate(); err != nil {
		return c, &failure{exitUsage, err}
	}
	return c, nil
}

// part is a struct of variables with what their names begin with.
type part struct {
	prefix string
	fields any // a pointer
}

func (c *config) parts() []part {
	all := []part{{"", &c.hostConfig}}
	for _, f := range c.program.Finders {
		all = append(all, part{"", f})
	}
	if c.program.Environment != nil {
		all = append(all, part{"", c.program.Environment})
	}
	return append(all, part{c.program.prefix(), &c.programConfig})
}

// versionList is a comma list of versions.
type versionList []int

// Decode implements envconfig.Decoder.
func (l *versionList) Decode(text string) error {
	for _, element := range trimmed(strings.Split(text, ",")) {
		v, err := strconv.Atoi(element)
		if err != nil {
			return fmt.Errorf("%q is no number", element)
		}
		*l = append(*l, v)
	}
	return nil
}

// readable names the variable of a value that did not parse, and says what it
// takes, as the other errors do.
func (o Options) readable(err error) error {
	parse, ok := errors.AsType[*envconfig.ParseError](err)
	if !ok {
		return err
	}
	value := strings.TrimSpace(parse.Value)
	want := "want a " + parse.TypeName
	switch parse.TypeName {
	case "time.Duration":
		want = "want a duration, such as 5s or 1m30s"
		if value != "" && strings.Trim(value, "0123456789") == "" {
			want = fmt.Sprintf("give a unit, such as %ss", value)
		}
	case "bool":
		want = "want true or false"
	case reflect.TypeFor[versionList]().String():
		want = fmt.Sprintf("want a comma list of some of %v: %v", o.knownVersions(), parse.Err)
	}
	return fmt.Errorf("%s=%q: %s", parse.KeyName, parse.Value, want)
}

// trimmed leaves out what people write around commas.
func trimmed(list []string) []string {
	var kept []string
	for _, a := range list {
		if a = strings.TrimSpace(a); a != "" {
			kept = append(kept, a)
		}
	}
	return kept
}

func (c *config) validate() error {
	if hclog.LevelFromString(c.LogLevel) == hclog.NoLevel {
		return fmt.Errorf("LOG_LEVEL=%q: want trace, debug, info, warn, error or off", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		return fmt.Errorf("LOG_FORMAT=%q: want text or json", c.LogFormat)
	}
	for field, value := range reflect.ValueOf(c.hostConfig).Fields() {
		if d, ok := value.Interface().(time.Duration); ok && d <= 0 {
			return fmt.Errorf("%s=%v: want more than zero", field.Tag.Get("envconfig"), d)
		}
	}
	if c.MaxMessage < 1<<20 {
		return fmt.Errorf("HOST_MAX_MESSAGE=%d: want at least %d bytes", c.MaxMessage, 1<<20)
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"MAX_CALLS", c.MaxCalls}, {"MAX_PLUGIN_CALLS", c.MaxPluginCalls}} {
		if n.value <= 0 {
			return fmt.Errorf("%s=%d: want more than zero", c.own(n.name), n.value)
		}
	}
	if _, err := c.policy(); err != nil {
		return err
	}
	if _, err := static.Parse(strings.Join(c.NetworkPlugin, ",")); err != nil {
		return fmt.Errorf("NETWORK_PLUGIN: %w", err)
	}
	known := c.program.knownVersions()
	for _, v := range c.ContractVersions {
		if !slices.Contains(known, v) {
			return fmt.Errorf("CONTRACT_VERSIONS names %d: want some of %v", v, known)
		}
	}
	return nil
}

// own gives the name of a variable of the program's own.
func (c *config) own(name string) string { return c.program.prefix() + "_" + name }

func (c *config) policy() (balancer.Policy, error) {
	var p balancer.Policy
	if err := p.UnmarshalText([]byte(c.Balancer)); err != nil {
		return p, fmt.Errorf("BALANCER=%q: want round-robin or least-request", c.Balancer)
	}
	return p, nil
}

// tls names the files as the host's environment does.
func (c *config) tls() tlsfile.Files {
	return tlsfile.Files{
		Cert: c.TLSCertFile, Key: c.TLSKeyFile, CA: c.TLSCAFile,
		CertName: "HOST_TLS_CERT_FILE", KeyName: "HOST_TLS_KEY_FILE", CAName: "HOST_TLS_CA_FILE",
	}
}

func (c *config) logger(stderr io.Writer) hclog.Logger {
	o := &hclog.LoggerOptions{Name: c.program.Name, Level: hclog.LevelFromString(c.LogLevel), Output: printable.NewRecordWriter(stderr)}
	if c.LogFormat == "json" {
		// JSON is printable by itself, and an object that is cut is none.
		o.JSONFormat, o.Output = true, stderr
	}
	return hclog.New(o)
}
