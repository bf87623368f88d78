using System.Text.RegularExpressions;
using UPool.Deploy.Tests.Manifests;
using UPool.Testing;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Running;

/// <summary>Images and units contain exactly the output of <c>dotnet publish</c>, and it starts.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed partial class PublishTests(PublishedPrograms programs) : IClassFixture<PublishedPrograms>
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(120);

    [Theory]
    [InlineData("Silo", "silo")]
    [InlineData("Api", "api")]
    public async Task Publish_Program_HasWhatImagesAndUnitsStart(string program, string target)
    {
        string folder = await programs.FolderAsync(program);

        string dockerfile = Repository.Text("deploy/Dockerfile", "the images");
        Assert.Contains($"dotnet publish src/{program} --output /publish/{target}", dockerfile);
        string entry = EntryPoint().Matches(dockerfile).Select(match => match.Groups[1].Value)
            .Single(file => file.Contains(program, StringComparison.Ordinal));
        Assert.True(File.Exists(Path.Combine(folder, entry)), entry);

        foreach (Unit unit in Unit.All.Where(unit => unit["WorkingDirectory"] == $"/opt/upool/{target}"))
        {
            string file = unit["ExecStart"].Split(' ')[0];
            Assert.StartsWith(unit["WorkingDirectory"] + "/", file);
            Assert.True(File.Exists(Path.Combine(folder, Path.GetFileName(file))), file);
        }
    }

    [Fact]
    public async Task Publish_Api_ServesFromItsFolder()
    {
        string folder = await programs.FolderAsync("Api");
        int port = FreePort.Next();

        // The embedded database also needs its native library in the folder.
        await using ProcessHost api = await ProcessHost.StartAsync(
            "published api", Path.Combine(folder, "UPool.Api"), [],
            new Dictionary<string, string?>
            {
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
                ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            },
            folder);
        await api.WaitForHttpAsync(new Uri($"http://127.0.0.1:{port}/user/list"), Patient);
    }

    [Fact]
    public async Task Publish_Silo_AppliesTheSchemaFromItsFolder()
    {
        string folder = await programs.FolderAsync("Silo");
        SharedServer server = await SharedServer.GetAsync();
        await using TestDatabase database = await server.CreateDatabaseAsync();

        for (int run = 1; run <= 2; run++)
        {
            await using ProcessHost silo = await ProcessHost.StartDotnetAsync(
                "published silo", Path.Combine(folder, "UPool.Silo.dll"), ["--migrate"],
                new Dictionary<string, string?> { ["ConnectionStrings__UPool"] = database.ConnectionString },
                folder);
            Assert.True(await silo.WaitForExitAsync(Patient) == 0, silo.Output);
        }
    }

    [GeneratedRegex("""^ENTRYPOINT \["dotnet", "([\w.]+)"\]$""", RegexOptions.Multiline)]
    private static partial Regex EntryPoint();
}
