namespace UPool.Tidy.Tests;

/// <summary>What a rule found wrong; all of it, one finding a line.</summary>
internal static class Findings
{
    /// <summary>Fails when there are any.</summary>
    public static void AssertNone(string what, IEnumerable<string> found)
    {
        var all = found.ToArray();
        Assert.True(all.Length == 0, $"{all.Length} {what}:\n{string.Join('\n', all)}");
    }
}
