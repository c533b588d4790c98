module github.com/reattach/reattach

go 1.26

require (
	github.com/hashicorp/go-hclog v1.6.3
	github.com/hashicorp/go-plugin v1.8.0
)

replace github.com/hashicorp/go-plugin => ./forks/go-plugin
