// SPDX-License-Identifier: MPL-2.0

// Command images writes an OCI archive of a binary for several architectures, without an
// engine. What the image says of itself it takes from a stage of a Dockerfile, the last one
// or that of -target, so that both ways to build it give the same.
//
// The binary is static. One that is linked dynamically can be copied where the stage copies
// its libraries as well, which are those of this machine: so it must be for this machine's
// architecture alone, and have been built here.
//
//	images -dockerfile Dockerfile.host -binaries build/images/basic -name basic -o basic.tar
//
// The directory of binaries has one file for each architecture, such as amd64. The
// archive depends on nothing but its input: equal input gives an equal digest, which
// is printed.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	var b build
	args := make(settings)
	dockerfile := flag.String("dockerfile", "", "file of which a stage describes the image")
	target := flag.String("target", "", "name of that stage; empty: the last one")
	flag.StringVar(&b.binaries, "binaries", "", "directory of the binaries, named like their architectures")
	flag.StringVar(&b.name, "name", "", "name and tag of the image in the archive, such as docker.io/library/basic:dev")
	flag.StringVar(&b.revision, "revision", "", "revision of the source, for the image's label; empty for none")
	flag.StringVar(&b.notice, "notice", "", "file of the licences of what the binary is made of, if the image has one")
	flag.StringVar(&b.base, "base", "", "archive that this command has written: the image with which the last stage begins, if it does not from scratch")
	out := flag.String("o", "", "archive to write")
	flag.Var(args, "build-arg", "NAME=VALUE, as for docker build")
	flag.Parse()
	digest, err := run(b, *dockerfile, *target, args, *out)
	if err != nil {
		fmt.Fprintf(os.Stderr, "images: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("%s %s\n", digest, *out)
}

func run(b build, dockerfile, target string, args settings, out string) (digest string, err error) {
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		return "", fmt.Errorf("read Dockerfile: %w", err)
	}
	if b.stage, err = parseStage(string(text), target, args); err != nil {
		return "", fmt.Errorf("read %s: %w", dockerfile, err)
	}
	index, err := b.index()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", b.name, err)
	}
	if err := writeArchive(index, b.name, out); err != nil {
		return "", fmt.Errorf("write %s: %w", out, err)
	}
	hash, err := index.Digest()
	return hash.String(), err
}

// settings are flags of the form NAME=VALUE.
type settings map[string]string

// String implements flag.Value.
func (settings) String() string { return "" }

// Set implements flag.Value.
func (s settings) Set(v string) error {
	name, value, ok := strings.Cut(v, "=")
	if !ok {
		return fmt.Errorf("%q is not NAME=VALUE", v)
	}
	s[name] = value
	return nil
}
