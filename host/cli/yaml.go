// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/hashicorp/go-plugin/printable"
	"go.yaml.in/yaml/v3"
)

// writeYAML writes what writeJSON does, as a document of its own.
func writeYAML(w io.Writer, all found, p *page) error {
	raw, err := json.Marshal(all.orEmpty())
	if err != nil {
		return err
	}
	tokens := json.NewDecoder(bytes.NewReader(raw))
	tokens.UseNumber()
	tree, err := yamlNode(tokens)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if p.begun {
		text.WriteString("---\n")
	}
	p.begun = true
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(tree); err != nil {
		return err
	}
	// What is left to escape stands between double quotes, where YAML has the same
	// escapes.
	_, err = io.WriteString(w, printable.Text(text.String()))
	return err
}

// yamlNode gives the next value of d as YAML, its members in their order.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch value := token.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if value == '{' {
			n.Kind = yaml.MappingNode
		}
		for d.More() {
			element, err := yamlNode(d)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, element)
		}
		_, err := d.Token() // its end
		return n, err
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
		if printable.Line(value) != value {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n, nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: value.String()}, nil
	}
	n := new(yaml.Node)
	return n, n.Encode(token) // true, false and null
}
