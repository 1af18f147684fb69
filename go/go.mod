module github.com/nsgate/nsgate/go

go 1.24
