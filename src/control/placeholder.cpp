namespace bandd {}
