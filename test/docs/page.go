// SPDX-License-Identifier: MPL-2.0

// Package docs runs what the pages tell people to type, and compares what is printed
// with the page. Each fenced block says by its first line what it is:
//
//	sh       commands, run by bash as they stand
//	console  commands after "$ ", and what each prints; "> " begins a further line of one
//	output   what the block of commands above it prints
//	go       lines of a program of this repository, which is built there
//	gomod    lines of a go.mod
//	yaml     a file, or a part of a manifest
//	text     a picture, or a sketch: nothing of it is run, as of what is indented alone
//
// A comment above a block adds to that:
//
//	<!-- serves: TEXT -->      the commands do not end: go on once they have printed TEXT
//	<!-- shows: TEXT -->       the same, and what runs is ended then
//	<!-- file: NAME -->        the block is a file, for the commands below it
//	<!-- like: TYPE -->        a yaml block is read strictly as a TYPE
//	<!-- printed: DIR -->      the output is compared with the page by the tests in DIR
//	<!-- not run: REASON -->   the block cannot be run
//
// Commands that name kubectl or --in-cluster are run in one, by test/e2e; those that only
// ask it are asked again until the answer is as on the page. A block that
// says "make TARGET" is one of the steps of .ci/run, if that has it.
package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Block is a fenced block of a page.
type Block struct {
	Page     string // the page's path below the root, with slashes
	Line     int    // of its fence, from 1
	Language string
	Text     string // without the fences' own indentation; ends in a line feed
	Marks    map[string]string
}

func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Page, b.Line) }

// marks are the words of comments above a block.
var marks = []string{"serves", "shows", "file", "like", "printed", "not run"}

// languages are those that a block may say.
var languages = []string{"sh", "console", "output", "go", "gomod", "yaml", "text"}

// Pages gives the paths of all pages below root that people read.
func Pages(root string) ([]string, error) {
	var pages []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || slices.Contains([]string{"build", "bin", "testdata", "templates"}, name)) {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".md") {
			below, err := filepath.Rel(root, path)
			pages = append(pages, filepath.ToSlash(below))
			return err
		}
		return nil
	})
	return pages, err
}

// Read reads the blocks of a page. Its error names each block that does not say what it is.
func Read(root, page string) ([]Block, error) {
	raw, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return nil, err
	}
	return parse(page, string(raw))
}

var (
	fence   = regexp.MustCompile("^( *)```(.*)$")
	comment = regexp.MustCompile(`^ *<!-- ([a-z ]+): (.*) -->$`)
)

func parse(page, text string) ([]Block, error) {
	var (
		blocks []Block
		open   *Block
		indent string
		marked = map[string]string{}
		wrong  []error
	)
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		if open != nil {
			if m == nil {
				open.Text += strings.TrimPrefix(line, indent) + "\n"
				continue
			}
			blocks, open = append(blocks, *open), nil
			continue
		}
		if m != nil {
			indent, open = m[1], &Block{Page: page, Line: i + 1, Language: m[2], Marks: marked}
			marked = map[string]string{}
			if !slices.Contains(languages, open.Language) {
				wrong = append(wrong, fmt.Errorf("%s: a block of %q: want one of %s", *open, open.Language, strings.Join(languages, ", ")))
			}
			continue
		}
		if c := comment.FindStringSubmatch(line); c != nil && slices.Contains(marks, c[1]) {
			marked[c[1]] = c[2]
			continue
		}
		if len(marked) > 0 {
			wrong = append(wrong, fmt.Errorf("%s:%d: a mark has no block below it", page, i))
			marked = map[string]string{}
		}
		if strings.HasPrefix(line, "    $ ") {
			wrong = append(wrong, fmt.Errorf("%s:%d: a command in a block by indentation: use a fence, which says what it is", page, i+1))
		}
	}
	if open != nil {
		wrong = append(wrong, fmt.Errorf("%s: the block has no end", *open))
	}
	return blocks, errors.Join(wrong...)
}

// InCluster tells whether the commands of a block need a cluster.
func (b Block) InCluster() bool {
	return b.Commands() && (strings.Contains(b.Text, "kubectl") || strings.Contains(b.Text, "--in-cluster"))
}

// Commands tells whether a block is one of commands.
func (b Block) Commands() bool { return b.Language == "sh" || b.Language == "console" }

var asks = regexp.MustCompile(`^kubectl (-n \S+ )?(logs|get|describe) `)

// Asks tells whether all commands of a block ask a cluster, and change nothing.
func (b Block) Asks() bool {
	for line := range strings.Lines(b.Text) {
		if !asks.MatchString(line) {
			return false
		}
	}
	return b.Commands()
}

// Output gives the block that says what the i-th one prints, or nil.
func Output(blocks []Block, i int) *Block {
	if i+1 < len(blocks) && blocks[i+1].Language == "output" && blocks[i+1].Marks["printed"] == "" {
		return &blocks[i+1]
	}
	return nil
}
