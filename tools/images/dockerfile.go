// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
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
}

// parseLastStage reads the instructions that the Dockerfiles of this repository use,
// and refuses any other, rather than leave it out.
func parseLastStage(text string, args map[string]string) (stage, error) {
	s := stage{labels: make(map[string]string)}
	text = strings.ReplaceAll(text, "\\\n", " ")
	declared := make(map[string]string)
	expand := func(v string) string { return os.Expand(v, func(name string) string { return declared[name] }) }
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		var err error
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case word == "FROM":
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
	if s.binary == "" || len(s.entrypoint) == 0 || s.entrypoint[0] != s.binary && s.entrypoint[0] != s.link {
		return s, fmt.Errorf("the last stage must copy one binary and have it as its ENTRYPOINT")
	}
	return s, nil
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
		return s.copy(strings.Fields(rest), declared["PLUGIN"])
	default:
		return fmt.Errorf("the instruction %s is not known here", word)
	}
	return nil
}

// copy takes "--from=build SOURCE TARGET".
func (s *stage) copy(words []string, plugin string) error {
	if len(words) != 3 || !strings.HasPrefix(words[0], "--from=") {
		return fmt.Errorf("want --from=STAGE SOURCE TARGET")
	}
	switch target := path.Clean(words[2]); {
	case words[1] == "/empty":
		s.tmp = target
	case words[1] == "/NOTICE":
		s.notice = target
	case s.binary != "":
		return fmt.Errorf("a second file: only one binary is known here")
	case words[1] == "/image" && target == "/":
		// What the stage before has laid out, see Dockerfile.plugin.
		s.binary, s.sums, s.link = "/plugins/"+plugin+".po", "/plugins/SHA256SUMS", "/plugin"
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
