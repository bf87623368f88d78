namespace UPool.Bench.Runner;

/// <summary>What can be measured.</summary>
[Flags]
internal enum Parts
{
    /// <summary>Nothing: the document is written anew from the results there are.</summary>
    Report = 0,

    /// <summary>All sides over HTTP.</summary>
    Http = 1,

    /// <summary>The pool alone.</summary>
    Pool = 2,

    /// <summary>More work than the connections can do.</summary>
    Overload = 4,

    /// <summary>What one unit costs while its number grows.</summary>
    Growth = 8,

    /// <summary>Everything.</summary>
    All = Http | Pool | Overload | Growth,

    /// <summary>What the bars need, and no more.</summary>
    Bars = 16,
}
