module github.com/nsgate/nsgate/examples/go/volumehandler

go 1.25.0

require (
	github.com/go-git/go-billy/v5 v5.9.2
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/nsgate/nsgate/go v0.0.0
	github.com/nsgate/nsgate/go/nsgatebilly v0.0.0
	github.com/willscott/go-nfs v0.0.4
	github.com/willscott/go-nfs-client v0.0.0-20251022144359-801f10d98886
	go.uber.org/goleak v1.3.0
)

require (
	github.com/rasky/go-xdr v0.0.0-20170124162913-1a41d1a06c93 // indirect
	golang.org/x/sys v0.46.0 // indirect
)

replace (
	github.com/nsgate/nsgate/go => ../../../go
	github.com/nsgate/nsgate/go/nsgatebilly => ../../../go/nsgatebilly
)
