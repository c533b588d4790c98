module github.com/reattach/reattach/test/adoption

go 1.26.0

require github.com/reattach/reattach/test/interop v0.0.0

replace github.com/reattach/reattach/test/interop => ../interop
