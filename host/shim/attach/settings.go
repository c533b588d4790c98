// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/reattach/reattach/host/stub"
)

// MaxTargetFile is the largest target file that is read, in bytes.
const MaxTargetFile = 64 << 10

// AffinitySession is the Affinity of a plugin that remembers what one host has told it.
const AffinitySession = "session"

// Settings are what a target file holds, which lies beside a link to the program. Each
// field but Target has a meaning when it is left out.
type Settings struct {
	// Target is where the plugin is: a list as NETWORK_PLUGIN takes it, of one plugin, or
	// another target that the program knows.
	Target string `yaml:"target"`
	// Cookie is the magic cookie of host and plugin as KEY=VALUE: the program's own if empty.
	Cookie string `yaml:"cookie"`
	// Versions are those of the host that are used, for a plugin that cannot say its own, or
	// those of a host that does not list them, as very old ones do not.
	Versions []int `yaml:"versions"`
	// Protocol is grpc or netrpc, for a plugin that serves both and a host that has one.
	Protocol string `yaml:"protocol"`

	// Affinity is empty or AffinitySession.
	Affinity string `yaml:"affinity"`
	// Replay are methods whose last accepted request is sent to each endpoint before its
	// first other call, in this order.
	Replay []string `yaml:"replay"`
	// Idempotent are methods that may be repeated on another endpoint when it is not known
	// whether their first run has happened.
	Idempotent []string `yaml:"idempotent"`
	// Timeout bounds each call without a deadline of its host's. Zero is 24 h.
	Timeout time.Duration `yaml:"timeout"`
	// Wait bounds how long a call waits for an endpoint.
	Wait time.Duration `yaml:"wait"`

	TLS TLSFiles `yaml:"tls"`
	Pin Pin      `yaml:"pin"`
}

// TLSFiles name files of PEM. One that is not absolute is beside the target file.
type TLSFiles struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// usualTimeout bounds a call whose host sets no deadline. A child has no bound at all:
// some plugins work for hours.
const usualTimeout = 24 * time.Hour

// ReadSettings reads a target file: YAML with the fields of Settings, or the target
// alone on its one line. Files that it names are found beside it. The error names the
// file and the field.
func ReadSettings(path string) (Settings, error) {
	s, err := readSettings(path)
	if err != nil {
		return s, fmt.Errorf("target file %s: %w", path, err)
	}
	return s, nil
}

func readSettings(path string) (s Settings, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, errors.Unwrap(err) // it names the path
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxTargetFile+1))
	switch {
	case err != nil:
		return s, err
	case len(text) > MaxTargetFile:
		return s, fmt.Errorf("has more than %d bytes", MaxTargetFile)
	}
	if s, err = parseSettings(text); err != nil {
		return s, err
	}
	for _, file := range []*string{&s.TLS.CA, &s.TLS.Cert, &s.TLS.Key} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(path), *file)
		}
	}
	return s, nil
}

func parseSettings(text []byte) (s Settings, err error) {
	var alone string
	if yaml.Unmarshal(text, &alone) == nil && !strings.Contains(alone, "\n") {
		s.Target = strings.TrimSpace(alone)
		return s, s.Validate()
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return s, s.Validate()
	case err != nil:
		return s, plainYAML(err)
	}
	if fields := document.Content[0]; fields.Kind != yaml.MappingNode {
		return s, fmt.Errorf("line %d: want fields, such as target: store:7000%s", fields.Line, inPlaceOf(fields))
	} else if err := setFields(fields, "", reflect.ValueOf(&s).Elem()); err != nil {
		return s, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return s, errors.New("has more than one document: leave out what follows ---")
	}
	return s, s.Validate()
}

// Validate names the field that is wrong.
func (s *Settings) Validate() error {
	switch {
	case strings.TrimSpace(s.Target) == "":
		return errors.New("target is missing: where is the plugin?")
	case s.Affinity != "" && s.Affinity != AffinitySession:
		return fmt.Errorf("affinity %q: want %s, or nothing", s.Affinity, AffinitySession)
	case s.Protocol != "" && s.Protocol != "grpc" && s.Protocol != "netrpc":
		return fmt.Errorf("protocol %q: want grpc or netrpc", s.Protocol)
	case s.Timeout < 0:
		return fmt.Errorf("timeout %s is below zero", s.Timeout)
	case s.Wait < 0:
		return fmt.Errorf("wait %s is below zero", s.Wait)
	}
	for _, v := range s.Versions {
		if v < 0 {
			return fmt.Errorf("versions: %d is below zero", v)
		}
	}
	if s.Cookie != "" {
		if key, value, ok := strings.Cut(s.Cookie, "="); !ok || key == "" || value == "" {
			return fmt.Errorf("cookie %q: want KEY=VALUE", s.Cookie)
		}
	}
	return s.Pin.validate()
}

// Declared gives the methods that the settings name.
func (s *Settings) Declared() []stub.Declared {
	return []stub.Declared{{Option: stub.OptionReplay, Names: s.Replay}, {Option: "idempotent", Names: s.Idempotent}}
}

// Options implements stub.Methods.
func (s *Settings) Options(method string) stub.CallOptions {
	o := stub.CallOptions{Timeout: s.Timeout}
	if o.Timeout == 0 {
		o.Timeout = usualTimeout
	}
	o.Idempotent, o.Replay = slices.Contains(s.Idempotent, method), slices.Contains(s.Replay, method)
	return o
}

// plainYAML says what is wrong with a file that is no YAML, which is said after a prefix of
// the parser's own.
func plainYAML(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "yaml: ")) }
