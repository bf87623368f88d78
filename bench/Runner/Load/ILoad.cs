namespace UPool.Bench.Runner.Load;

/// <summary>Puts load on a side that answers over HTTP.</summary>
internal interface ILoad
{
    /// <summary>Asks without a pause, each client when its last answer is there, and counts the answers.</summary>
    Task<LoadFigures> RunAsync(Uri side, Question question, int clients, int round);
}

/// <summary>What is asked, and how an answer that counts as served looks: status 200, code 1, and all of the
/// body.</summary>
/// <param name="Path">The path and query; with ids, the path in front of them.</param>
/// <param name="BodyBytes">How long the body of such an answer is.</param>
/// <param name="Ids">Which ids are asked for, each as often; null when the path is asked for as it is. All have as many
/// digits, and their users names of one length, so that all bodies are as long.</param>
internal sealed record Question(string Path, int BodyBytes, (int First, int Last)? Ids = null)
{
    /// <summary>How every body begins that has an answer in it.</summary>
    public const string Beginning = "{\"code\":1";
}

/// <summary>What a load has seen.</summary>
/// <param name="Seconds">How long it took.</param>
/// <param name="Served">Answers that count.</param>
/// <param name="Other">Everything else: refusals, errors, short bodies, lost connections.</param>
/// <param name="P50">The median of the times to an answer of either kind, in milliseconds.</param>
/// <param name="P99">The time that 99 % of the answers were within, in milliseconds.</param>
internal readonly record struct LoadFigures(double Seconds, long Served, long Other, double P50, double P99);
