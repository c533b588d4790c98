// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
)

// stage is what the last stage of a Dockerfile says.
type stage struct {
	labels          map[string]string
	env             []string
	user            string
	ports           []string
	entrypoint, cmd []string
	// binary, notice and tmp are where the things that are copied go: the binary, the
	// licences of what it is made of, and an empty directory that everybody may write
	// to, if any.
	binary, notice, tmp string
	// based says that the last stage begins with another image, and not from nothing.
	based bool
	// sums is where the binary's checksum goes, beside it, and link leads to the
	// binary; empty: there is none.
	sums, link string
	// libraries says that the binary is linked dynamically, and what it is linked with is
	// copied as well.
	libraries bool
	// object says that the binary is a shared object, for a host that mounts the image:
	// nothing in it can be run.
	object bool
}

// parseStage reads the stage of that name, or the last one if it is empty. It knows the
// instructions that the Dockerfiles of this repository use, and refuses any other, rather
// than leave it out.
func parseStage(text, target string, args map[string]string) (stage, error) {
	s := stage{labels: make(map[string]string)}
	text = strings.ReplaceAll(text, "\\\n", " ")
	declared := make(map[string]string)
	expand := func(v string) string { return os.Expand(v, func(name string) string { return declared[name] }) }
	name, found := "", target == ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		var err error
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case word == "FROM" && name != "" && name == target:
			return s, s.check() // Those after it are other images.
		case word == "FROM":
			_, name, _ = strings.Cut(rest, " AS ")
			found = found || name == target
			s = stage{labels: make(map[string]string), based: strings.HasPrefix(rest, "${")}
			if s.based || strings.HasPrefix(rest, "scratch") {
				declared = make(map[string]string)
			} else {
				declared = nil // a stage that only builds
			}
		case declared == nil:
		default:
			err = s.instruction(word, rest, args, declared, expand)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", line, err)
		}
	}
	if !found {
		return s, fmt.Errorf("no stage is called %s", target)
	}
	return s, s.check()
}

// check says what keeps the stage from being an image.
func (s *stage) check() error {
	switch runs := len(s.entrypoint) > 0; {
	case s.object && s.binary != "" && !runs:
	case s.object:
		return errors.New("a stage with a shared object has no ENTRYPOINT")
	case s.binary == "" || !runs || s.entrypoint[0] != s.binary && s.entrypoint[0] != s.link:
		return errors.New("the stage must copy one binary and have it as its ENTRYPOINT")
	}
	return nil
}

func (s *stage) instruction(word, rest string, args, declared map[string]string, expand func(string) string) error {
	switch word {
	case "ARG":
		name, usual, _ := strings.Cut(rest, "=")
		if v, ok := args[name]; ok {
			usual = v
		}
		declared[name] = usual
	case "LABEL":
		for _, p := range pairs(rest) {
			s.labels[p[0]] = expand(p[1])
		}
	case "ENV":
		for _, p := range pairs(rest) {
			s.env = append(s.env, p[0]+"="+expand(p[1]))
		}
	case "USER":
		s.user = rest
	case "EXPOSE":
		s.ports = append(s.ports, rest+"/tcp")
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &s.entrypoint)
	case "CMD":
		return json.Unmarshal([]byte(rest), &s.cmd)
	case "COPY":
		return s.copy(strings.Fields(rest), declared)
	default:
		return fmt.Errorf("the instruction %s is not known here", word)
	}
	return nil
}

// copy takes "--from=build SOURCE TARGET".
func (s *stage) copy(words []string, declared map[string]string) error {
	if len(words) != 3 || !strings.HasPrefix(words[0], "--from=") {
		return fmt.Errorf("want --from=STAGE SOURCE TARGET")
	}
	switch target := path.Clean(words[2]); {
	case words[1] == "/empty":
		s.tmp = target
	case words[1] == "/NOTICE":
		s.notice = target
	case words[1] == "/libraries" && target == "/":
		s.libraries = true
	case s.binary != "":
		return fmt.Errorf("a second file: only one binary is known here")
	case words[1] == "/image" && target == "/":
		// What the stage before has laid out, see Dockerfile.plugin.
		s.binary, s.sums, s.link = "/plugins/"+declared["PLUGIN"]+".po", "/plugins/SHA256SUMS", "/plugin"
	case words[1] == "/object" && target == "/": // likewise, see Dockerfile.so
		s.binary, s.sums, s.object = "/plugins/"+declared["OBJECT"]+".so", "/plugins/SHA256SUMS", true
	default:
		s.binary = target
	}
	return nil
}

// pairs splits NAME=VALUE NAME="VALUE OF WORDS".
func pairs(text string) [][2]string {
	var out [][2]string
	for _, m := range regexp.MustCompile(`([^\s=]+)=("[^"]*"|\S*)`).FindAllStringSubmatch(text, -1) {
		out = append(out, [2]string{m[1], strings.Trim(m[2], `"`)})
	}
	return out
}
