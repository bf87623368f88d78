namespace UPool.Bench.Runner;

/// <summary>The parts that can be measured.</summary>
[Flags]
internal enum Parts
{
    /// <summary>None: rewrites the document from the existing results.</summary>
    Report = 0,

    /// <summary>All sides over HTTP.</summary>
    Http = 1,

    /// <summary>The pool alone.</summary>
    Pool = 2,

    /// <summary>More work than the connections can do.</summary>
    Overload = 4,

    /// <summary>The cost of one unit as its number grows.</summary>
    Growth = 8,

    /// <summary>Everything.</summary>
    All = Http | Pool | Overload | Growth,

    /// <summary>Only the figures that the bars need.</summary>
    Bars = 16,
}
