module weir.dev/e2e/tools/kube-score

go 1.26.0

tool github.com/zegl/kube-score/cmd/kube-score

require github.com/zegl/kube-score v1.20.0 // indirect
