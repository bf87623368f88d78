using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary><c>.ci/run</c> picks tests by name for the second server. A name that matches no class, after a rename for
/// example, would pick nothing, and no run would fail.</summary>
public sealed partial class CiTests
{
    [Fact]
    public void Filters_Each_MatchATestClass()
    {
        string[] classes = [.. Repository.FilesOf(".cs", "tests/").SelectMany(TestClassesIn)];

        Findings.AssertNone(
            "names in .ci/run that match no class with tests",
            from Match filter in Filter().Matches(Repository.Text(".ci/run", "the tests of the second server"))
            let name = filter.Groups[1].Value
            let pattern = $"^{Regex.Escape(name).Replace("\\*", ".*")}$"
            where !classes.Any(one => Regex.IsMatch(one, pattern))
            select name);
    }

    // A contract's tests are in its base class, whose name does not matter here.
    private static IEnumerable<string> TestClassesIn(string file)
    {
        string source = Repository.Text(file, "code");
        string space = Namespace().Match(source).Groups[1].Value;
        return Class().Matches(source).Select(found => $"{space}.{found.Groups[1].Value}");
    }

    [GeneratedRegex("--filter-class '([^']+)'")]
    private static partial Regex Filter();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^public (?:sealed |partial )*class (\w+(?:Tests|Contract))\b", RegexOptions.Multiline)]
    private static partial Regex Class();
}
