using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace UPool.Tidy.Tests;

/// <summary>The code blocks of the documents compile; they are read from the documents, not copied.</summary>
public sealed class SnippetTests
{
    // The usings of an application's file: the web SDK's, and those that docs/using.md names.
    private static readonly string[] Usings =
    [
        "System", "System.Collections.Generic", "System.Data.Common", "System.Linq", "System.Threading",
        "System.Threading.Tasks", "Dapper", "Microsoft.AspNetCore.Builder", "Microsoft.AspNetCore.Http",
        "Microsoft.Extensions.DependencyInjection", "Microsoft.Extensions.Hosting", "Orleans", "UPool",
        "UPool.Hosting", "UPool.Cluster", "UPool.Cluster.Workers", "UPool.Cluster.Registration",
    ];

    // The context of a program with a web host, and an application's own type.
    private const string Program =
        """
        WebApplicationBuilder builder = null!;
        WebApplication app = null!;
        CancellationToken token = default;
        public sealed record Order(long Id, string Name);
        """;

    private static readonly CSharpParseOptions Script = new(LanguageVersion.Latest, kind: SourceCodeKind.Script);

    private static readonly IReadOnlyList<MetadataReference> References =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Select(path => MetadataReference.CreateFromFile(path)),
    ];

    public static TheoryData<string> DocumentsWithCSharp() =>
        [.. Snippet.Of("csharp").Select(block => block.Document).Distinct()];

    // A document's blocks form a sequence: each may use the declarations of earlier ones.
    [Theory]
    [MemberData(nameof(DocumentsWithCSharp))]
    public void CSharp_BlocksOfADocument_Compile(string document)
    {
        CSharpCompilation before = Compile(Program, null);
        AssertHasNoErrors(before, nameof(Program));
        foreach (Snippet block in Snippet.Of("csharp").Where(block => block.Document == document))
        {
            // The given declarations are compiled separately, so that line numbers are the document's.
            CSharpCompilation given = Compile(block.Given, before);
            AssertHasNoErrors(given, $"what is given to {block}");
            before = Compile(block.Code, given);
            AssertHasNoErrors(before, $"{block}");
        }
    }

    [Fact]
    public async Task Shell_EveryBlock_IsReadByBash()
    {
        var wrong = new List<string>();
        foreach (Snippet block in Snippet.Of("sh"))
        {
            using var bash = Process.Start(new ProcessStartInfo("bash", ["-n"])
            {
                RedirectStandardInput = true,
                RedirectStandardError = true,
            })!;
            await bash.StandardInput.WriteAsync(block.Code);
            bash.StandardInput.Close();
            string error = await bash.StandardError.ReadToEndAsync();
            await bash.WaitForExitAsync();
            if (bash.ExitCode != 0) wrong.Add($"{block}: {error}");
        }

        Assert.Empty(wrong);
    }

    // Documents must show complete JSON, without omissions or placeholders.
    [Fact]
    public void Json_EveryBlock_IsJson()
    {
        foreach (Snippet block in Snippet.Of("json"))
        {
            Exception? wrong = Record.Exception(() => JsonDocument.Parse(block.Code).Dispose());
            Assert.True(wrong is null, $"{block}: {wrong?.Message}");
        }
    }

    [Fact]
    public void Blocks_OfEveryLanguage_AreOfOneThatIsKnown() => Assert.DoesNotContain(
        Snippet.All, block => block.Language is not ("csharp" or "sh" or "json" or "sql" or "python" or ""));

    // As a script: statements, members and types may be mixed, as in a document.
    private static CSharpCompilation Compile(string code, CSharpCompilation? before) =>
        CSharpCompilation.CreateScriptCompilation(
            "Snippet",
            CSharpSyntaxTree.ParseText(code, Script),
            References,
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, usings: Usings)
                .WithNullableContextOptions(NullableContextOptions.Enable),
            before);

    private static void AssertHasNoErrors(CSharpCompilation compilation, string what)
    {
        string[] errors =
        [
            .. compilation.GetDiagnostics()
                .Where(found => found.Severity == DiagnosticSeverity.Error)
                .Select(found => $"line {found.Location.GetLineSpan().StartLinePosition.Line + 1} of it: "
                    + found.GetMessage(CultureInfo.InvariantCulture)),
        ];
        Assert.True(errors.Length == 0, $"{what}:\n{string.Join('\n', errors)}");
    }
}
