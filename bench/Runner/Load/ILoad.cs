namespace UPool.Bench.Runner.Load;

/// <summary>Puts load on a side over HTTP.</summary>
internal interface ILoad
{
    /// <summary>Counts replies: each client sends its next request as soon as it has a reply.</summary>
    Task<LoadFigures> RunAsync(Uri side, Question question, int clients, int round);
}

/// <summary>The request, and the reply that counts as served: status 200, code 1 and the complete body.</summary>
/// <param name="Path">The path and query; with ids, the path in front of them.</param>
/// <param name="BodyBytes">The length of the body of such a reply.</param>
/// <param name="Ids">The ids to request, each equally often; null if the path needs none. All ids have the same number
/// of digits, and their users names of one length, so that all bodies have the same length.</param>
internal sealed record Question(string Path, int BodyBytes, (int First, int Last)? Ids = null)
{
    /// <summary>The beginning of every body of a served reply.</summary>
    public const string Beginning = "{\"code\":1";
}

/// <summary>The figures of a load.</summary>
/// <param name="Seconds">The duration.</param>
/// <param name="Served">Replies that count as served.</param>
/// <param name="Other">All others: refusals, errors, short bodies, lost connections.</param>
/// <param name="P50">The median time to a reply of either kind, in milliseconds.</param>
/// <param name="P99">The 99th percentile of that time, in milliseconds.</param>
internal readonly record struct LoadFigures(double Seconds, long Served, long Other, double P50, double P99);
