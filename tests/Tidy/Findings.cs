namespace UPool.Tidy.Tests;

/// <summary>Reports all violations of a rule, one per line.</summary>
internal static class Findings
{
    /// <summary>Fails if there are any findings.</summary>
    public static void AssertNone(string what, IEnumerable<string> found)
    {
        var all = found.ToArray();
        Assert.True(all.Length == 0, $"{all.Length} {what}:\n{string.Join('\n', all)}");
    }
}
