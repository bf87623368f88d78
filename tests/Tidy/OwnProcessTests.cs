using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>
/// Tests that start servers or programs are marked, each one or its class: <c>./test.sh quick</c> excludes them by that
/// trait. Starts that a file does not show fail at run time in that form.
/// </summary>
public sealed partial class OwnProcessTests
{
    private const string Mark = "[Trait(\"Needs\", \"OwnProcesses\")]";

    // Concatenated, because this file is searched too.
    private const string Start = "await DatabaseServer.Start" + "NewAsync();";

    [Fact]
    public void Tests_ThatStartServersOrPrograms_SaySo() =>
        Findings.AssertNone(
            $"tests that start servers or programs of their own without {Mark}",
            from file in Repository.FilesOf(".cs", "tests/")
            from test in Unmarked(Repository.Lines(file))
            select $"{file}: {test}");

    [Theory]
    [InlineData("", "", Start, "One_Test_Starts")]
    [InlineData("", Mark, Start, null)]
    [InlineData(Mark, "", Start, null)]
    [InlineData("", "", "await HelpAsync();", "One_Test_Starts")]
    [InlineData("", "", "await HelpOtherwiseAsync();", null)]
    [InlineData("", "", "await cluster.RunAsync(silos: 1, apis: 1, test);", null)]
    public void Unmarked_Sample_IsTheTestThatStarts(string ofClass, string ofTest, string body, string? found)
    {
        var lines = $$"""
            {{ofClass}}
            public sealed class SomeTests
            {
                [Fact]{{ofTest}}
                public async Task One_Test_Starts()
                {
                    {{body}}

                    Assert.True(true);
                }

                [Fact]
                {{Mark}}
                public async Task Another_Test_StartsAndSaysSo()
                {
                    {{Start}}
                }

                private static Task HelpAsync() => HelpMoreAsync(1);

                private static async Task HelpMoreAsync(int number)
                {
                    {{Start}}
                }

                private static Task HelpOtherwiseAsync() => Task.CompletedTask;
            }
            """.Split('\n');

        Assert.Equal(found is null ? [] : [found], Unmarked(lines));
    }

    [Theory]
    [InlineData("public async ValueTask InitializeAsync() => _server = ", true)]
    [InlineData("public async ValueTask DisposeAsync() => _server = ", false)]
    public void Unmarked_StartBeforeEachTest_IsEveryTestOfTheClass(string member, bool isFound)
    {
        var lines = $$"""
            public sealed class SomeTests
            {
                {{member}}{{Start}}

                [Fact]
                public void Any_Test_Any() => Assert.True(true);
            }
            """.Split('\n');

        Assert.Equal(isFound ? ["Any_Test_Any"] : [], Unmarked(lines));
    }

    /// <summary>The names of the unmarked tests of a file that start something, directly or through another member of
    /// the file.</summary>
    private static List<string> Unmarked(string[] lines)
    {
        var members = Members(lines);
        var starting = members.Where(static member => Starting().IsMatch(member.Text)).ToHashSet();
        for (var before = 0; before != starting.Count;)
        {
            before = starting.Count;
            string[] helpers =
                [.. starting.Where(static member => !member.IsTest).Select(static member => member.Name)];
            starting.UnionWith(members.Where(member => helpers.Any(helper => member.Calls(helper))));
        }

        var ofEveryTest = starting.Where(static member => member.IsBeforeEachTest).Select(static member => member.Type);
        var types = ofEveryTest.ToHashSet();
        return
        [
            .. from member in members
               where member.IsTest && !member.IsMarked && (starting.Contains(member) || types.Contains(member.Type))
               select member.Name,
        ];
    }

    // Relies on the house format: types begin at the margin, members are indented by four spaces after an empty line.
    private static List<Member> Members(string[] lines)
    {
        var members = new List<Member>();
        var type = "";
        var isMarked = false;
        var text = new List<string>();
        foreach (var line in lines.Append("}"))
        {
            var isMargin = line.Length > 0 && !char.IsWhiteSpace(line[0]);
            var isMember = MemberStart().IsMatch(line) && (text.Count == 0 || text[^1].Length == 0);
            if ((isMargin || isMember) && text.Any(static part => part.Length > 0))
            {
                members.Add(new Member(type, isMarked, string.Join('\n', text)));
                text.Clear();
            }

            if (!isMargin)
            {
                if (line.Trim() != "{") text.Add(line.TrimEnd());
            }
            else if (TypeName().Match(line) is { Success: true } found)
            {
                type = found.Value;
            }
            else if (line.Contains(Mark, StringComparison.Ordinal))
            {
                isMarked = true;
            }
            else if (line.StartsWith('}'))
            {
                isMarked = false;
            }
        }

        return members;
    }

    [GeneratedRegex(@"^ {4}[^\s{}]")]
    private static partial Regex MemberStart();

    [GeneratedRegex(@"(?<=\b(class|record|struct|interface) )\w+")]
    private static partial Regex TypeName();

    [GeneratedRegex(@"^\s*\[(Fact|Theory)\]", RegexOptions.Multiline)]
    private static partial Regex Test();

    // The member's name: the first name followed by an assignment or a call, outside attributes and comments.
    [GeneratedRegex(@"^ {4}(?!\[|//)[^\n]*?\b(\w+)(<[^(\n]*>)?( =|\(|;|$)", RegexOptions.Multiline)]
    private static partial Regex MemberName();

    [GeneratedRegex(
        @"\b(DatabaseServer|BudgetServer|ReplicatedPair|ProcessHost|ProcessCluster|StandIn|PublishedPrograms)"
        + @"\.Start\w*\(")]
    private static partial Regex Starting();

    private sealed record Member(string Type, bool IsMarkedType, string Text)
    {
        public string Name { get; } = MemberName().Match(Text).Groups[1].Value;

        public bool IsTest => OwnProcessTests.Test().IsMatch(Text);

        public bool IsMarked => IsMarkedType || Text.Contains(Mark, StringComparison.Ordinal);

        public bool IsBeforeEachTest => Name == "InitializeAsync" || Name == Type;

        public bool Calls(string name) => Name != name && Regex.IsMatch(Text, $@"\b{Regex.Escape(name)}\b");
    }
}
