// How a report looks: on light and on dark, on narrow screens, and on paper.

extension ReportPage {
  static let style = """
    :root{--back:#f6f7f9;--card:#fff;--ink:#1c2733;--soft:#5d6b7a;--line:#dde3ea;--bar:#2f6fb5;--live:#2f6fb5;\
    --large:#238f83;--index:#7a5bb5;--fixed:#5d6b7a;--room:#b9d3ef;--garbage:#dd8a2e;--free:#cbd3dc;--hole:#eceff3;\
    --good:#20794a;--bad:#b3471d}
    @media(prefers-color-scheme:dark){:root{--back:#101419;--card:#171d24;--ink:#e4e9ef;--soft:#9aa7b5;--line:#2b333d;\
    --bar:#6aa5e3;--live:#5b9bdf;--large:#3fb5a7;--index:#a489dd;--fixed:#8593a2;--room:#2c4a69;--garbage:#d98c3c;\
    --free:#47525f;--hole:#232b34;--good:#5fc48d;--bad:#f08a5d}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
    main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
    h3{margin:10px 0 2px;font-weight:500}h1{font-size:26px;margin:0;overflow-wrap:anywhere}h2{font-size:18px;margin:0 0 4px}
    p{margin:4px 0 12px;max-width:78ch}.soft,figcaption,.note{color:var(--soft);font-size:13px}
    section,.tile{background:var(--card);border:1px solid var(--line);border-radius:10px}
    section{padding:18px 20px;margin-top:18px}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:18px}
    .tile{padding:12px 16px}.tile b{display:block;font-size:22px;font-weight:600}.tile span{color:var(--soft);font-size:13px}
    .state{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}
    .two{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:18px}.two>div{min-width:0}
    svg{display:block;width:100%;height:auto}svg svg{overflow:hidden}svg text{font-size:12px;fill:var(--ink)}
    .map text{fill:var(--soft)}.axis{stroke:var(--line)}.bar{fill:var(--bar)}
    .u-live{fill:var(--live)}.u-large{fill:var(--large)}.u-index{fill:var(--index)}.u-fixed{fill:var(--fixed)}\
    .u-room{fill:var(--room)}.u-garbage{fill:var(--garbage)}.u-free{fill:var(--free)}.u-hole{fill:var(--hole)}
    .legend{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:2px 20px;list-style:none;\
    padding:0;margin:12px 0 0;font-size:13px}
    .legend svg{display:inline-block;width:12px;height:12px;margin-right:8px;vertical-align:-1px}
    .share{height:22px;margin:6px 0 16px}
    table{border-collapse:collapse;width:100%;font-size:14px}td,th{padding:3px 10px 3px 0;text-align:left;vertical-align:top}
    th{color:var(--soft);font-weight:500;font-size:13px}td.n,th.n{text-align:right;white-space:nowrap;\
    font-variant-numeric:tabular-nums}
    td.k{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:13px;overflow-wrap:anywhere}
    td.g{width:38%}td.g svg{height:12px;margin-top:5px}
    .tree rect{stroke:var(--card);stroke-width:2}.tree .inner{stroke-width:1.5;filter:brightness(1.09)}
    .tree text{fill:#fff;font-size:13px}.tree .soft{font-size:12px;fill:#fff;opacity:.85}
    .t-0{fill:#2f6fb5}.t-1{fill:#238f83}.t-2{fill:#7a5bb5}.t-3{fill:#b3632a}.t-4{fill:#a34a76}.t-5{fill:#4b7a38}\
    .t-6{fill:#3c6f8c}.t-7{fill:#8a6d1f}.t-others{fill:#6b7682}
    details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}
    footer{margin-top:22px;color:var(--soft);font-size:13px}
    @media print{body{background:#fff}section{break-inside:avoid}}

    """
}
